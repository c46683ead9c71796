#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "evaluation/eval_set.h"
#include "retrieval/metrics/metrics.h"
#include "retrieval/report/results.h"
#include "retrieval/search/search.h"

namespace trireme {

class FieldList;

/// [metrics] What is computed from the ranked lists.
struct EvalMetricConfig {
  std::vector<std::string> names = {"recall@1", "recall@5", "recall@10", "mrr", "ndcg@10"};
  int64_t depth = 50;
  int64_t bootstrap_samples = 1000;
  int64_t seed = 0;

  void describe(FieldList& v);
};

/// config.names, read. throws ConfigError: no such metric, depth below a cutoff, the headline of a task not among them.
std::vector<Metric> resolve_metrics(const EvalMetricConfig& config, const Benchmark& benchmark);

/// Unit vectors of the records of each of a set's files, the same on every rank; null for a file that is part of
/// another one, whose vectors are taken from there.
using SetVectors = std::vector<std::unique_ptr<VectorSource>>;
/// One search as it is done: its ranked lists, and the values of its queries.
using SearchDone = std::function<void(const EvalSearch& search, const Neighbours& found, const TaskMetrics& metrics)>;

/// Searches, scores, and averages: tasks into rows, rows into the mean (local and global pools apart; rows with in_mean
/// only). The same values on every rank, and for any number of ranks up to the last bits of the embeddings.
/// collective: every rank enters. throws what resolve_metrics and search throw.
ResultTable evaluate(const EvalSet& set, const EvalMetricConfig& config, const SetVectors& vectors,
                     Communicator& communicator, const SearchDone& done = {});

/// Other orders of the lists that a search found, best first: one for each column behind the first, always as many.
using ReorderLists = std::function<std::vector<Neighbours>(const EvalSearch& search, const Neighbours& found)>;
/// One column of a search as it is done.
using ColumnDone = std::function<void(const EvalSearch& search, std::size_t column, const Neighbours& lists,
                                      const TaskMetrics& metrics)>;

/// evaluate() with columns: first the lists as they were found, then what `reorder` makes of them.
std::vector<ResultTable> evaluate_columns(const EvalSet& set, const EvalMetricConfig& config, const SetVectors& vectors,
                                          const ReorderLists& reorder, Communicator& communicator,
                                          const ColumnDone& done = {});

}  // namespace trireme
