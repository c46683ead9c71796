#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "data/sources/records.h"
#include "data/sources/source_config.h"
#include "evaluation/benchmark.h"
#include "retrieval/search/id_table.h"

namespace trireme {

class FieldList;

enum class PoolScope {
  kLocal,   ///< the task's own pool
  kGlobal,  ///< the pool of all tasks
};
constexpr auto choice_names(PoolScope) {
  return std::to_array<std::pair<PoolScope, std::string_view>>(
      {{PoolScope::kLocal, "local"}, {PoolScope::kGlobal, "global"}});
}

/// [queries] How they are asked, and what they search.
struct EvalQueryConfig {
  InstructionChoice instruction = InstructionChoice::kFixed;
  int64_t prompt_number = 1;
  int64_t seed = 0;
  std::vector<PoolScope> pools = {PoolScope::kLocal, PoolScope::kGlobal};

  void describe(FieldList& v);
};

/// A record file of a benchmark, opened and embedded once, however many searches use it.
struct EvalFile {
  std::filesystem::path path;  ///< below the root, as the benchmark names it
  RecordFile records;
  IdTable ids;
  std::vector<uint64_t> content{};  ///< of each record, a hash; empty once parts are found
  /// Every record is in another file of the set as well: embedded there.
  struct PartOf {
    std::size_t file = 0;
    std::vector<int64_t> rows;  ///< in that file, of each of our records
  };
  std::optional<PartOf> part_of{};
};

struct RelevantDocument {
  std::string did;
  int64_t grade = 1;
};

/// One file of queries against one pool.
struct EvalSearch {
  std::size_t task = 0;  ///< index into Benchmark::tasks
  PoolScope scope = PoolScope::kLocal;
  std::size_t queries = 0, pool = 0;                      ///< indices into EvalSet::files()
  std::vector<std::vector<RelevantDocument>> relevant{};  ///< of each query
  std::vector<std::vector<int64_t>> excluded{};           ///< rows of the pool that a query is not given; empty: none
  int64_t most_excluded = 0;                              ///< of one query
  int64_t missing = 0;                                    ///< relevant documents that the pool lacks
  std::string instruction{};                              ///< of the first query; "" unless fixed
};

/// Parts of the files instead of all, for a quick look: not comparable with values over whole pools.
struct EvalSubset {
  std::optional<int64_t> max_queries;     ///< of each file
  std::optional<int64_t> max_candidates;  ///< of each pool; more where more are relevant to the queries that stay
};

/// What an evaluation reads, opened and checked before a weight is: reusable, so a trainer evaluates as often as it
/// likes. Memory: the ids of all files, and what RecordFile keeps.
/// throws DataError: what RecordFile, Qrels and InstructionTable refuse; a query without a relevant document or judged
/// but not asked; a relevant or excluded document that the pool lacks (see allow_missing_positives); other numbers of
/// lines than tasks.yaml says.
class EvalSet {
 public:
  EvalSet(Benchmark benchmark, const EvalQueryConfig& config, const EvalSubset& subset = {});
  const Benchmark& benchmark() const noexcept { return benchmark_; }
  const std::vector<std::unique_ptr<EvalFile>>& files() const noexcept { return files_; }
  const std::vector<EvalSearch>& searches() const noexcept { return searches_; }
  /// Records to embed: those of the files that are not part of another one.
  int64_t records_to_embed() const;
  /// Records whose modality contradicts what they hold, of all files; 0 unless these are allowed.
  int64_t modality_mismatches() const;
  /// Leaves records out of all files and searches, in which rows are numbered anew: those that could not be embedded.
  /// A relevant document among them counts as not found. skipped: of each file its rows, ascending; those of a file
  /// that is part of another follow from the other's.
  /// throws DataError: a file or a search has none left.
  void leave_out(const std::vector<std::vector<int64_t>>& skipped);
  /// "instruction 1", "random instructions, seed 7" or "no instruction".
  const std::string& instruction() const noexcept { return instruction_; }

 private:
  std::size_t open(const std::string& path, const RecordOptions& options);
  void add_searches(std::size_t task, const EvalQueryConfig& config, const RecordOptions& query_options);
  void find_parts();

  Benchmark benchmark_;
  std::string instruction_;
  std::vector<std::unique_ptr<EvalFile>> files_;
  std::vector<EvalSearch> searches_;
};

}  // namespace trireme
