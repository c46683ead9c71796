#include "evaluation/eval_set.h"

#include <algorithm>
#include <numeric>

#include "core/config/choice.h"
#include "core/config/field_list.h"
#include "core/error.h"
#include "data/sources/json_line.h"
#include "data/sources/qrels.h"
#include "evaluation/subsample.h"
#include "retrieval/search/indexed_records.h"

namespace trireme {

void EvalQueryConfig::describe(FieldList& v) {
  v.field("instruction", instruction,
          "fixed: every query is asked with prompt_number; random: with any, by seed; none: without.");
  v.field("prompt_number", prompt_number, "The instruction under fixed, from 1.").at_least(1);
  v.field("seed", seed, "Of the draw under random.").at_least(0);
  v.field("pools", pools, "Each task's own pool, and the pool of all tasks where the benchmark has one.").non_empty();
}
static_assert(field_count<EvalQueryConfig>() == 4, "describe() must list every field");
namespace {

namespace fs = std::filesystem;

void require_lines(const EvalFile& file, int64_t expected, std::string_view what) {
  TRIREME_CHECK(expected == 0 || file.records.size() == expected, DataError, file.path.string(),
                "the file must have the {} {} that tasks.yaml says; got {}; prepare the benchmark again.", expected,
                what, file.records.size());
}

/// What the file judges relevant, by row of the query file.
std::vector<std::vector<RelevantDocument>> relevant_of(const EvalFile& queries, const fs::path& path) {
  const Qrels qrels(std::span(&path, 1));
  std::vector<std::vector<RelevantDocument>> relevant(static_cast<std::size_t>(queries.records.size()));
  for (const std::string& qid : qrels.queries()) {
    const auto row = queries.ids.find(qid);
    TRIREME_CHECK(row.has_value(), DataError, path.string(),
                  "the qrels must judge queries of {}; got {}, which it lacks; take both files from one release.",
                  queries.path.string(), qid);
    for (const auto& judged : qrels.relevant(qid))
      relevant[static_cast<std::size_t>(*row)].push_back({judged.did, judged.relevance});
  }
  for (std::size_t row = 0; row < relevant.size(); ++row) {
    TRIREME_CHECK(!relevant[row].empty(), DataError, path.string(),
                  "every query must have a relevant document; got none for {} of {}; take both files from one release.",
                  queries.ids[static_cast<int64_t>(row)], queries.path.string());
  }
  return relevant;
}

int64_t count_missing(const EvalSearch& search, const EvalFile& pool, const fs::path& qrels, bool allowed) {
  int64_t missing = 0;
  for (const auto& documents : search.relevant) {
    for (const RelevantDocument& document : documents) {
      if (pool.ids.find(document.did)) continue;
      ++missing;
      TRIREME_CHECK(
          allowed, DataError, qrels.string(),
          "relevant documents must be in the pool {}; got {}, which it lacks; set allow_missing_positives of the "
          "benchmark to count such documents as not found.",
          pool.path.string(), document.did);
    }
  }
  return missing;
}

/// exclude_cand_list of a query line, as rows of the pool. A document that is not in this pool needs no excluding.
std::vector<int64_t> excluded_of(std::string_view line, const std::string& where, const EvalFile& pool) {
  std::vector<int64_t> rows;
  simdjson::dom::array list;
  if (line.find("exclude_cand_list") == line.npos) return rows;  // M-BEIR's own lines have none: not parsed again
  if (parse_json_line(line, where)["exclude_cand_list"].get(list)) return rows;
  for (const auto& entry : list) {
    std::string_view did;
    TRIREME_CHECK(!entry.get(did), DataError, where, "exclude_cand_list must hold ids; got {}; correct the line.",
                  shown(entry));
    if (const auto row = pool.ids.find(did)) rows.push_back(*row);
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

/// What the first query of a file is asked with.
std::string first_instruction(const EvalFile& queries, const RecordOptions& options, int64_t task_id) {
  const std::string where = queries.records.where(0);
  const auto object = parse_json_line(queries.records.line(0), where);
  const auto& prompts =
      options.instructions->prompts(dataset_of(queries.ids[0], where), required_text(object, "query_modality", where),
                                    candidate_modality_of_task(task_id, where), where);
  return prompts.at(static_cast<std::size_t>(options.prompt_number - 1));
}

/// The rows of `whole` that hold the records of `part`; nullopt when one is missing or differs.
std::optional<std::vector<int64_t>> rows_within(const EvalFile& part, const EvalFile& whole) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < part.records.size(); ++row) {
    const auto at = whole.ids.find(part.ids[row]);
    if (!at || part.content[static_cast<std::size_t>(row)] != whole.content[static_cast<std::size_t>(*at)])
      return std::nullopt;
    rows.push_back(*at);
  }
  return rows;
}

}  // namespace

EvalSet::EvalSet(Benchmark benchmark, const EvalQueryConfig& config, const EvalSubset& subset)
    : benchmark_(std::move(benchmark)) {
  RecordOptions query_options;
  query_options.prompt_number = config.prompt_number;
  query_options.plain_queries = config.instruction == InstructionChoice::kNone;
  query_options.allow_modality_mismatch = benchmark_.allow_modality_mismatch;
  if (!query_options.plain_queries) query_options.instructions.emplace(benchmark_.root / benchmark_.instructions);
  switch (config.instruction) {
    case InstructionChoice::kRandom:
      query_options.instruction_seed = static_cast<uint64_t>(config.seed);
      instruction_ = fmt::format("random instructions, seed {}", config.seed);
      break;
    case InstructionChoice::kFixed:
      instruction_ = fmt::format("instruction {}", config.prompt_number);
      break;
    case InstructionChoice::kNone:
      instruction_ = "no instruction";
      break;
  }
  for (std::size_t task = 0; task < benchmark_.tasks.size(); ++task) add_searches(task, config, query_options);
  TRIREME_CHECK(!searches_.empty(), ConfigError, "queries",
                "pools must name one that the benchmark has; got none; add local to the pools of the queries.");
  subsample(files_, searches_, subset);
  find_parts();
}

std::size_t EvalSet::open(const std::string& path, const RecordOptions& options) {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const auto& file) { return file->path == path; });
  if (found != files_.end()) return static_cast<std::size_t>(found - files_.begin());
  IndexedRecords indexed = open_indexed(benchmark_.root / path, options);
  files_.push_back(std::make_unique<EvalFile>(
      EvalFile{path, std::move(indexed.records), std::move(indexed.ids), std::move(indexed.content)}));
  return files_.size() - 1;
}

void EvalSet::add_searches(std::size_t task, const EvalQueryConfig& config, const RecordOptions& query_options) {
  const EvalTask& of = benchmark_.tasks[task].task;
  RecordOptions pool_options;
  pool_options.allow_modality_mismatch = benchmark_.allow_modality_mismatch;
  for (const PoolScope scope : config.pools) {
    const bool local = scope == PoolScope::kLocal;
    const std::string& pool_path = local ? of.pool : of.global_pool;
    if (pool_path.empty()) continue;
    const fs::path qrels = benchmark_.root / (local ? of.qrels : of.global_qrels);
    EvalSearch search{
        .task = task, .scope = scope, .queries = open(of.query, query_options), .pool = open(pool_path, pool_options)};
    const EvalFile &queries = *files_[search.queries], &pool = *files_[search.pool];
    require_lines(queries, of.queries, "queries");
    if (local) require_lines(pool, of.candidates, "candidates");
    search.relevant = relevant_of(queries, qrels);
    search.missing = count_missing(search, pool, qrels, benchmark_.allow_missing_positives);
    for (int64_t row = 0; row < queries.records.size(); ++row) {
      search.excluded.push_back(excluded_of(queries.records.line(row), queries.records.where(row), pool));
      search.most_excluded = std::max(search.most_excluded, std::ssize(search.excluded.back()));
    }
    if (search.most_excluded == 0) search.excluded.clear();
    if (config.instruction == InstructionChoice::kFixed)
      search.instruction = first_instruction(queries, query_options, of.task_id);
    searches_.push_back(std::move(search));
  }
}

void EvalSet::find_parts() {
  std::vector<std::size_t> pools;
  for (const EvalSearch& search : searches_) pools.push_back(search.pool);
  std::sort(pools.begin(), pools.end());
  pools.erase(std::unique(pools.begin(), pools.end()), pools.end());
  const auto size = [&](std::size_t file) { return files_[file]->records.size(); };
  std::stable_sort(pools.begin(), pools.end(), [&](std::size_t a, std::size_t b) { return size(a) > size(b); });
  for (std::size_t i = 1; i < pools.size(); ++i) {
    EvalFile& part = *files_[pools[i]];
    for (std::size_t j = 0; j < i && !part.part_of; ++j) {
      const EvalFile& whole = *files_[pools[j]];
      if (whole.part_of) continue;
      if (auto rows = rows_within(part, whole)) part.part_of = {pools[j], std::move(*rows)};
    }
  }
  for (const auto& file : files_) file->content = {};
}

void EvalSet::leave_out(const std::vector<std::vector<int64_t>>& skipped) {
  trireme::leave_out(files_, searches_, skipped);
}

int64_t EvalSet::modality_mismatches() const {
  return std::accumulate(files_.begin(), files_.end(), int64_t{0},
                         [](int64_t sum, const auto& file) { return sum + file->records.modality_mismatches(); });
}

int64_t EvalSet::records_to_embed() const {
  return std::accumulate(files_.begin(), files_.end(), int64_t{0}, [](int64_t sum, const auto& file) {
    return sum + (file->part_of ? 0 : file->records.size());
  });
}

}  // namespace trireme
