#include "retrieval/mining/split_source.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "data/sources/candidate_pool.h"
#include "data/sources/query_line.h"

namespace trireme {

void PoolPart::describe(FieldList& v) {
  v.field("name", name, "Name of the part.");
  v.field("documents", documents, "Lines of its file.");
}
static_assert(field_count<PoolPart>() == 2, "describe() must list every field");

void QueryGroup::describe(FieldList& v) {
  v.field("name", name, "Name of the group.");
  v.field("queries", queries, "Lines of its file.");
  v.field("parts", parts, "Parts of the pool that it searches.");
}
static_assert(field_count<QueryGroup>() == 3, "describe() must list every field");

void MiningPlan::describe(FieldList& v) {
  v.field("parts", parts, "Of the pool.");
  v.field("groups", groups, "Of the queries.");
  v.field("repeated_queries", repeated_queries, "Lines of queries that came before.");
  v.field("missing_gold", missing_positives, "Positives that the pool lacks.");
  v.field("goldless_dropped", queries_without_positives, "Queries without any other.");
}
static_assert(field_count<MiningPlan>() == 5, "describe() must list every field");
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhere = "mine";

/// A part of the pool: dataset and modality.
using PartKey = std::pair<int64_t, Modality>;
/// A group of queries: dataset and task.
using GroupKey = std::pair<int64_t, int64_t>;

struct LineAt {
  std::size_t file;
  int64_t line;
};

struct Group {
  std::vector<LineAt> lines;
  std::set<PartKey> parts;
};

std::string part_name(const PartKey& key) {
  std::string modality(modality_name(key.second));
  std::replace(modality.begin(), modality.end(), ',', '_');
  return fmt::format("dataset{}_{}", key.first, modality);
}

/// Lines on their way to a file.
class LineFile {
 public:
  explicit LineFile(const fs::path& path) : file_(path) {}
  void add(std::string_view line) {
    constexpr std::size_t kBytesAtOnce = 1 << 20;
    text_.append(line).push_back('\n');
    ++lines_;
    if (text_.size() >= kBytesAtOnce) flush();
  }
  int64_t commit() {
    flush();
    file_.commit();
    return lines_;
  }

 private:
  void flush() {
    file_.write(std::string_view(text_));
    text_.clear();
  }
  AtomicFile file_;
  std::string text_;
  int64_t lines_ = 0;
};

/// Reads the source's files and knows what is in them.
class Splitter {
 public:
  explicit Splitter(const MineSourceConfig& source)
      : source_(source), pool_(source.root / source.pool, source.allow_modality_mismatch) {
    for (const fs::path& file : source.queries) files_.push_back(LineIndex::of_lines(source.root / file));
    for (int64_t row = 0; row < pool_.size(); ++row) {
      const auto part = documents_.try_emplace(read_part(row), 0).first;
      ++part->second;
      parts_.push_back(&part->first);
    }
    for (std::size_t file = 0; file < files_.size(); ++file)
      for (int64_t line = 0; line < files_[file].size(); ++line) add({file, line});
    TRIREME_CHECK(!groups_.empty(), DataError, files_.at(0).path().string(),
                  "a source must have at least one query of the tasks asked for; got none; check queries and tasks.");
    if (source.scope == MiningScope::kGlobal)
      for (auto& [key, group] : groups_)
        for (const auto& [part, documents] : documents_) group.parts.insert(part);
  }

  void require_depth(int64_t depth) const {
    for (const auto& [key, group] : groups_) {
      int64_t documents = 0, most_excluded = 0;
      for (const PartKey& part : group.parts) documents += documents_.at(part);
      for (const LineAt& at : group.lines) most_excluded = std::max(most_excluded, excluded_of(query_at(at), group));
      TRIREME_CHECK(depth <= documents - most_excluded, ConfigError, kWhere,
                    "depth must be at most what every query of dataset {}, task {} can be given; got {} and {} "
                    "documents, {} of them excluded for a query; lower depth, or set source.scope: global.",
                    key.first, key.second, depth, documents, most_excluded);
    }
  }

  MiningPlan write(const fs::path& folder) const {
    MiningPlan plan;
    std::map<PartKey, int64_t> index;
    for (const auto& [key, group] : groups_)
      for (const PartKey& part : group.parts) index.emplace(part, 0);
    std::map<PartKey, LineFile> parts;
    for (auto& [key, place] : index) {
      place = std::ssize(plan.parts);
      plan.parts.push_back({part_name(key), documents_.at(key)});
      parts.try_emplace(key, pool_part_file(folder, plan.parts.back()));
    }
    for (int64_t row = 0; row < pool_.size(); ++row)
      if (const auto part = parts.find(part_of(row)); part != parts.end()) part->second.add(pool_.line(row));
    for (auto& [key, file] : parts) file.commit();

    for (const auto& [key, group] : groups_) {
      QueryGroup planned{fmt::format("dataset{}_task{}", key.first, key.second), std::ssize(group.lines), {}};
      for (const PartKey& part : group.parts) planned.parts.push_back(index.at(part));
      LineFile file(query_group_file(folder, planned));
      for (const LineAt& at : group.lines) file.add(files_[at.file][at.line]);
      file.commit();
      plan.groups.push_back(std::move(planned));
    }
    plan.repeated_queries = repeated_queries_;
    plan.missing_positives = missing_positives_;
    plan.queries_without_positives = queries_without_positives_;
    return plan;
  }

 private:
  QueryLine query_at(LineAt at) const {
    return parse_query(files_[at.file][at.line], files_[at.file].where(at.line), source_.allow_modality_mismatch);
  }
  const PartKey& part_of(int64_t row) const { return *parts_[static_cast<std::size_t>(row)]; }
  PartKey read_part(int64_t row) const {
    return {dataset_of(pool_.read(row).record.id, pool_.where(row)), pool_.modality(row)};
  }

  int64_t excluded_of(const QueryLine& query, const Group& group) const {
    const std::set<std::string> excluded(query.excluded.begin(), query.excluded.end());
    return std::count_if(excluded.begin(), excluded.end(), [&](const std::string& did) {
      const auto row = pool_.find(did);
      return row && group.parts.contains(part_of(*row));
    });
  }

  void add(LineAt at) {
    const QueryLine query = query_at(at);
    if (!source_.tasks.empty() && std::ranges::find(source_.tasks, query.task) == source_.tasks.end()) return;
    if (is_repeated(query, at)) return;
    std::set<PartKey> parts;
    for (const std::string& did : query.positives) {
      const auto row = pool_.find(did);
      TRIREME_CHECK(row || source_.allow_missing_positives, DataError, files_[at.file].where(at.line),
                    "a positive must be in the candidate pool {}; got {}, which is not; take the pool of the same "
                    "queries, or set source.allow_missing_positives.",
                    pool_.path().string(), did);
      if (row) {
        parts.insert(part_of(*row));
      } else {
        ++missing_positives_;
      }
    }
    if (parts.empty()) {
      ++queries_without_positives_;
      return;
    }
    Group& group = groups_[{query.dataset, query.task}];
    group.lines.push_back(at);
    group.parts.merge(parts);
  }

  /// Upsampled files have a query many times. throws DataError: two queries under one qid.
  bool is_repeated(const QueryLine& query, LineAt at) {
    const auto [first, is_new] = first_.try_emplace(query.qid, at);
    if (is_new) return false;
    const QueryLine before = query_at(first->second);
    const auto facts = [](const QueryLine& q) { return std::tie(q.task, q.text, q.image, q.positives); };
    TRIREME_CHECK(facts(before) == facts(query), DataError, files_[at.file].where(at.line),
                  "a qid must stand for one query; got another one under {}, first at {}; rename one.",
                  quote_text(query.qid), files_[first->second.file].where(first->second.line));
    ++repeated_queries_;
    return true;
  }

  const MineSourceConfig& source_;
  CandidatePool pool_;
  std::vector<LineIndex> files_;
  std::map<PartKey, int64_t> documents_;  ///< of each part
  std::vector<const PartKey*> parts_;     ///< of each document, a key of documents_
  std::map<GroupKey, Group> groups_;
  std::unordered_map<std::string, LineAt> first_;  ///< of each qid
  int64_t repeated_queries_ = 0, missing_positives_ = 0, queries_without_positives_ = 0;
};

}  // namespace

fs::path pool_part_file(const fs::path& folder, const PoolPart& part) {
  return folder / "pool" / (part.name + ".jsonl");
}

fs::path query_group_file(const fs::path& folder, const QueryGroup& group) {
  return folder / "queries" / (group.name + ".jsonl");
}

MiningPlan split_source(const MineSourceConfig& source, int64_t depth, const fs::path& folder) {
  const Splitter splitter(source);
  splitter.require_depth(depth);
  fs::create_directories(folder / "pool");
  fs::create_directories(folder / "queries");
  return splitter.write(folder);
}

}  // namespace trireme
