#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "retrieval/metrics/bootstrap.h"
#include "retrieval/search/run_file.h"

namespace trireme {

/// One document that was judged for a query. Grade 0 and below: not relevant; above: relevant, the more the better.
struct Judgement {
  std::string doc_id;
  int64_t grade = 1;
};
/// Of one task: query id -> what was judged for it, each document once. Documents that are not named are not relevant.
using Judgements = std::unordered_map<std::string, std::vector<Judgement>>;

/// Of one query; `rel` is the grade at rank i = 1, 2, .. of its list, G the number of relevant documents it has.
///   kRecall  1 if any of the first k is relevant, else 0: "hit-based" Recall@k, as M-BEIR and UniIR report it;
///            trec_eval calls it success_k (its own recall_k is the share of the G that was found).
///   kMrr     1 / (rank of the first relevant), 0 without one among the first k: recip_rank.
///   kNdcg    sum_{i<=k} max(rel_i, 0) / log2(i + 1), over the same sum of the ideal list: ndcg_cut_k. Järvelin and
///            Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002, with linear gain.
///   kMap     (1 / G) sum over relevant ranks i <= k of (relevant among the first i) / i: map, map_cut_k.
enum class MetricKind { kRecall, kMrr, kNdcg, kMap };

inline constexpr int64_t kWholeList = 0;

struct Metric {
  MetricKind kind = MetricKind::kRecall;
  int64_t cutoff = kWholeList;  ///< k; kWholeList: as many as the run holds
  bool operator==(const Metric&) const = default;
};
/// "recall@5", "mrr", "ndcg@10", "map": the names in configs, tables and JSON.
std::string metric_name(const Metric& metric);
/// throws ConfigError: no such metric (suggests the nearest), or a cutoff below 1.
Metric metric_of_name(std::string_view name);
/// recall@1, recall@5, recall@10, mrr, ndcg@10, map.
std::vector<Metric> default_metrics();

/// What orders documents of equal score.
enum class TieRule {
  kListed,    ///< the run's own order, which is what a user sees: search puts the smaller id (by bytes) first
  kTrecEval,  ///< the run is sorted anew, by score and among equals by the larger id first, as trec_eval does
};

/// A metric over one task's queries.
struct MetricValue {
  Metric metric;
  double mean = 0;
  BootstrapInterval interval;     ///< 95 %, over queries
  std::vector<double> per_query;  ///< in the order of TaskMetrics::query_ids
};

struct TaskMetrics {
  std::string task;
  std::vector<std::string> query_ids;  ///< the run's order
  std::vector<MetricValue> values;     ///< one per metric asked for, in that order
  /// throws InternalError when it was not asked for.
  const MetricValue& value(const Metric& metric) const;
};

struct MetricOptions {
  std::vector<Metric> metrics = default_metrics();
  TieRule ties = TieRule::kListed;
  int64_t bootstrap_samples = 1000;  ///< 0: the interval is the mean itself
  uint64_t seed = 0;                 ///< of the bootstrap; equal calls give equal values
};

/// Scores a run. Every query of the run must be judged with at least one relevant document, and every judged query be
/// in the run: which queries count is the caller's decision, not a side effect of a file.
/// throws DataError: a query in one of the two only, or without a relevant document (names it and counts the others),
/// or a document judged twice; ConfigError: a cutoff beyond the depth of a run that leaves candidates out (the value
/// would look exact and be too low).
TaskMetrics evaluate_run(const std::string& task, const Run& run, const Judgements& judgements,
                         const MetricOptions& options = {});

/// A headline: the unweighted mean over tasks, each with its own metric (M-BEIR: recall@5, and recall@10 for fashion).
struct Average {
  double mean = 0;
  BootstrapInterval interval;  ///< tasks resampled independently, the tasks themselves taken as given
};
Average average(const std::vector<const MetricValue*>& values);

/// {"task": .., "queries": n, "metrics": {"recall@5": {"mean": .., "low": .., "high": ..}, ..}}, without per_query.
nlohmann::ordered_json to_json(const TaskMetrics& metrics);
/// {"mean": .., "low": .., "high": ..}
nlohmann::ordered_json to_json(const Average& average);

}  // namespace trireme
