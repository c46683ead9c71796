#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trireme {

/// One document judged for one query.
struct JudgedDocument {
  std::string did;
  int64_t relevance = 0;  ///< as the file has it; above 0 = relevant
};

struct MissingJudgements {
  int64_t judgements = 0;   ///< of relevant documents that the pool lacks
  int64_t queries = 0;      ///< with at least one of them
  int64_t unreachable = 0;  ///< queries all of whose relevant documents are missing
};

/// TREC qrels, "qid 0 did relevance", and M-BEIR's, with a task id as fifth column; white space separates.
/// cost: in proportion to the lines, however many of them judge one query.
class Qrels {
 public:
  /// Files are joined. throws DataError, with file and line: missing or empty file, another number of columns, a
  /// relevance or task that is no integer, an unknown task id, a (qid, did) judged twice differently.
  explicit Qrels(std::span<const std::filesystem::path> files);

  /// Queries in the order of their first line.
  const std::vector<std::string>& queries() const noexcept { return queries_; }
  /// Relevant documents (relevance above 0) of a query, in the file's order; empty for an unknown query.
  std::span<const JudgedDocument> relevant(std::string_view qid) const;
  /// The query's task id; empty where the file has none.
  std::optional<int64_t> task(std::string_view qid) const;

  /// Compares with a pool. throws DataError naming the first query and document that the pool lacks, unless `allowed`:
  /// OVEN and InfoSeek judge documents of each other's pools.
  MissingJudgements check_pool(const std::function<bool(std::string_view did)>& pool_has, std::string_view pool_name,
                               bool allowed) const;

 private:
  struct Query {
    std::vector<JudgedDocument> relevant, others;
    std::unordered_map<std::string, int64_t> relevance;  ///< by document, of both lists; empty while they are short
    std::optional<int64_t> task;
    std::string where;

    /// What the document was judged before.
    std::optional<int64_t> relevance_of(const std::string& did) const;
    void add(JudgedDocument judgement);
  };
  void read(const std::filesystem::path& file);
  void add(std::string_view line, const std::string& where);

  std::vector<std::string> queries_;
  std::unordered_map<std::string, Query> by_query_;
};

}  // namespace trireme
