#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/fingerprint.h"

namespace trireme {

/// A mean over queries, as a fraction, with its 95 % interval; both ends are absent where only a value is known.
struct Estimate {
  double value = 0;
  std::optional<double> low, high;
  bool operator==(const Estimate&) const = default;
};

/// "recall@5", "mrr", "ndcg@10", .., in the order of the config. "headline" is the metric that stands for the row.
using MetricTable = std::vector<std::pair<std::string, Estimate>>;

/// One row of a benchmark, or an average over rows, in one pool.
struct PoolResult {
  int64_t candidates = 0;  ///< 0 for an average
  MetricTable metrics;
  const Estimate* find(std::string_view metric) const;
  bool operator==(const PoolResult&) const = default;
};

/// A line of a results table: one search, or a mean over several.
struct ResultRow {
  std::string id;        ///< "task4_noto_to_emojione_test"
  std::string label;     ///< "Noto -> EmojiOne"
  std::string row;       ///< of a search: id of the row that it is averaged into; else ""
  std::string set;       ///< "main", or the generalisation test that it belongs to
  int64_t task_id = -1;  ///< M-BEIR's
  int64_t queries = 0;   ///< of a mean: all together
  bool in_mean = true;   ///< of a mean over searches: counted in the mean over rows
  std::string headline;  ///< "recall@5": the metric that stands for it; "headline" where a mean mixes several
  std::optional<PoolResult> local{};   ///< in the task's own pool
  std::optional<PoolResult> global{};  ///< in the pool of all tasks
  bool operator==(const ResultRow&) const = default;
};

/// Searches, their means by row, and the mean over rows.
struct ResultTable {
  std::vector<ResultRow> tasks, rows;
  std::optional<ResultRow> mean{};
  bool operator==(const ResultTable&) const = default;
};

/// Numbers of others to stand beside ours: the floors of specialists, published figures. Same ids as ours.
struct Reference {
  std::string name;   ///< "floor", "LamRA-Ret"
  std::string about;  ///< how they were made
  ResultTable table;
  bool operator==(const Reference&) const = default;
};

/// What put the lists of a column in their order after the search.
struct RerankedBy {
  std::string mode;  ///< "pointwise"
  std::string model, model_sha256, adapter_sha256;
  int64_t depth = 0;   ///< results of each query that were scored
  std::string fusion;  ///< "alpha=0.5": of rows without an own weight
  std::map<std::string, std::string> fusion_by_row;
  Fingerprint fingerprint = {};  ///< empty in results of version 1
  bool operator==(const RerankedBy&) const = default;
};

/// What an evaluation says: the content of results.json (docs/formats.md).
struct EvalResults {
  std::string label;      ///< of the column in tables: "stage 2"
  std::string benchmark;  ///< "pictograms, test"
  std::string model, model_sha256, adapter_sha256, config_sha256;
  std::string instruction;  ///< "instruction 1", "random instructions, seed 7", "no instruction"
  int64_t depth = 0;        ///< results kept per query: what MRR and nDCG see
  ResultTable table;
  std::vector<Reference> references{};
  std::optional<RerankedBy> reranked_by{};
  std::vector<std::string> skipped{};  ///< ids of records that could not be embedded and were left out
  Fingerprint fingerprint = {};  ///< of the embeddings, over all files of the benchmark; empty in results of version 1
  bool operator==(const EvalResults&) const = default;
};

/// Equal results give equal bytes. No times, no machine: any number of ranks writes the same.
std::string results_json(const EvalResults& results);
/// throws DataError: not JSON, or not what results_json() writes (names what is missing).
EvalResults parse_results(std::string_view json, std::string_view where);
/// throws DataError: file missing too.
EvalResults read_results(const std::filesystem::path& file);

/// How the records, instructions or pictures of two evaluations of one benchmark differ, so that their numbers are not
/// of the same thing; "" when they do not, are of other benchmarks, or do not say.
std::string data_difference(const EvalResults& a, const EvalResults& b);

/// "R@5" of "recall@5", "MRR" of "mrr", "nDCG@10" of "ndcg@10".
std::string metric_title(std::string_view metric);
/// The row of that id, or null.
const ResultRow* find_row(const std::vector<ResultRow>& rows, std::string_view id);

}  // namespace trireme
