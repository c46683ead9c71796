#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/fingerprint.h"

namespace trireme {

/// A document that the retriever found for a training query.
struct MinedDocument {
  std::string id;
  float score = 0;        ///< inner product of the embeddings
  bool positive = false;  ///< among the query's positives: no negative
  bool operator==(const MinedDocument&) const = default;
};

/// A document that is right for a query, found among the first or not.
struct ScoredPositive {
  std::string id;
  float score = 0;  ///< as in MinedDocument, also when it was not found
  bool operator==(const ScoredPositive&) const = default;
};

/// What was mined for one query.
struct MinedQuery {
  std::string id;
  std::vector<MinedDocument> documents;   ///< best first, distinct; what the filters left, positives among them
  std::vector<ScoredPositive> positives;  ///< distinct, at least one
  bool operator==(const MinedQuery&) const = default;
};

/// What mining did, in documents or queries.
struct MiningCounts {
  int64_t rank_window = 0, absolute_margin = 0, relative_margin = 0;  ///< documents dropped by each filter; one that
  int64_t near_duplicate = 0, known_positive = 0;                     ///< several would drop counts for the first
  int64_t balance = 0;                                                ///< documents that balancing did not draw
  int64_t emptied_dropped = 0;     ///< queries left out because the filters left them no negative
  int64_t emptied_unfiltered = 0;  ///< queries that kept their list as it was before the filters, for that reason
  int64_t missing_positives = 0;   ///< positives that the pool lacks
  int64_t queries_without_positives = 0;  ///< queries left out because it lacks all of theirs
  MiningCounts& operator+=(const MiningCounts& other);
  bool operator==(const MiningCounts&) const = default;
};

/// What a document by itself tells about being a positive or a negative, to a model that never sees the query.
struct DocumentPrior {
  double accuracy = 0.5;              ///< of the best guess; 0.5: nothing
  double nats = 0.69314718055994531;  ///< cross-entropy of the best probabilities; ln 2: nothing
  bool operator==(const DocumentPrior&) const = default;
};

std::string in_words(const DocumentPrior& prior);

/// What stands in the root attributes of a file of hard negatives (docs/formats.md).
struct HardNegativesInfo {
  std::string model;           ///< the retriever's folder as the user named it
  std::string model_sha256;    ///< over its weight files, as in an embeddings file
  std::string adapter_sha256;  ///< "" without an adapter
  std::string rope_mode;       ///< "mrope" or "oned"
  std::string corpus;          ///< what was searched, as the user named it
  std::string corpus_sha256;   ///< over the files of what was searched
  std::string filters;         ///< settings of the filters, YAML in one line
  std::string config_sha256;   ///< over the resolved options that change values
  int64_t depth = 0;           ///< documents that were retrieved for each query, before the filters
  MiningCounts counts;
  DocumentPrior prior;  ///< of the lists as they are, mean over groups of queries that search the same documents
  /// Of the retriever, and of the queries and documents that it was given; empty in a file of version 1.
  Fingerprint fingerprint = {};
  bool operator==(const HardNegativesInfo&) const = default;
};

/// HDF5 file with /query_id [Q], /doc_offset [Q + 1], /doc_id, /score, /gold, /gold_offset [Q + 1], /gold_id and
/// /gold_score. Queries are written in order with bounded memory; the file appears under its name only at commit().
/// One thread at a time. throws DataError: not writable, disk full, an id that is not UTF-8.
class HardNegativesWriter {
 public:
  explicit HardNegativesWriter(const std::filesystem::path& path);
  HardNegativesWriter(HardNegativesWriter&&) noexcept;
  ~HardNegativesWriter();
  void write(std::span<const MinedQuery> queries);
  void commit(const HardNegativesInfo& info);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Finds the list of a query. The lists stay in the file; memory: the query ids and 16 bytes a query. Any number of
/// threads may read; they take turns. cost of a list: about a millisecond.
/// throws DataError: missing, not HDF5, truncated, another trireme_format, shapes or offsets that contradict each
/// other, a query twice; when a list is read: scores that are not finite or rise, a document twice, /gold that
/// contradicts /gold_id (each names the file and the query).
class HardNegativesFile {
 public:
  static HardNegativesFile open(const std::filesystem::path& path);
  HardNegativesFile(HardNegativesFile&&) noexcept;
  ~HardNegativesFile();
  const HardNegativesInfo& info() const noexcept;
  int64_t queries() const noexcept;
  /// nullopt: nothing was mined for it.
  std::optional<int64_t> find(std::string_view query_id) const;
  MinedQuery read(int64_t query) const;
  /// Consecutive queries, faster than one by one.
  std::vector<MinedQuery> read(int64_t first_query, int64_t count) const;

 private:
  struct State;
  explicit HardNegativesFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace trireme
