#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/preparation/concept_key.h"

namespace trireme {

/// What may be found, with M-BEIR's fields and the ones that docs/formats.md adds; "" = none.
struct CandidateRecord {
  std::string text, image;
  std::string concept_key, style, language, tone, group, subgroup;
  Split split = Split::kTrain;
};

/// Candidates by their number in the order they were added; the id is "DATASET:NUMBER".
class CandidateTable {
 public:
  explicit CandidateTable(int64_t dataset_id) : dataset_id_(dataset_id) {}
  int64_t add(CandidateRecord record);
  const CandidateRecord& operator[](int64_t number) const { return records_[static_cast<std::size_t>(number)]; }
  int64_t size() const noexcept { return std::ssize(records_); }
  int64_t dataset_id() const noexcept { return dataset_id_; }
  std::string id(int64_t number) const;
  /// One JSON object and an end of line.
  std::string line(int64_t number) const;

 private:
  int64_t dataset_id_;
  std::vector<CandidateRecord> records_;
};

/// What is asked, and the numbers of the candidates that answer it.
struct QueryRecord {
  int64_t task_id = 0;
  std::string text, image;
  std::string concept_key, style, language, tone;
  std::vector<int64_t> positives;  ///< all that answer, in whatever pool
  std::vector<int64_t> excluded;   ///< the query's own picture as a candidate
  int64_t number = 0;              ///< of its id
};

/// One JSON object and an end of line; `positives` are those of the pool that the file is for.
std::string query_line(const QueryRecord& query, std::span<const int64_t> positives, const CandidateTable& candidates);

/// "qid 0 did 1 task" and an end of line for each.
std::string qrels_lines(const QueryRecord& query, std::span<const int64_t> positives, const CandidateTable& candidates);

}  // namespace trireme
