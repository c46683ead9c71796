#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "data/sources/records.h"

namespace trireme {

/// A training pair with everything drawn: which of the query's positives is the target, which instruction, which hard
/// negatives.
struct TrainingPair {
  Record query, target;
  std::vector<Record> hard_negatives;
  int64_t target_id = 0, concept_id = 0;
  std::vector<int64_t> positive_ids;       ///< documents known to answer the query, the target's included
  std::vector<int64_t> hard_negative_ids;  ///< as many as hard_negatives
  /// As many: what each is about, as concept_id says of a target: its concept, or its own id where it has none.
  std::vector<int64_t> hard_negative_concepts;
  std::string where;  ///< file and line of the query
};

/// How large a pair is, for dealing pairs to ranks.
struct PairSize {
  int64_t text_bytes = 0, images = 0;
};

/// What a pair may have in common with others; see Distinct.
struct PairIdentity {
  int64_t target_id = 0, concept_id = 0;
  std::vector<int64_t> positive_ids;
};

/// Hard negatives that a retriever found, by query id. read() takes them in random order.
class HardNegatives {
 public:
  virtual ~HardNegatives() = default;
  /// dids, best first; empty when the query has none. Safe to call from several threads.
  virtual std::vector<std::string> of(std::string_view qid) const = 0;
  /// Whether the query was searched for; a source leaves out those that were not.
  virtual bool covers(std::string_view qid) const = 0;
};

/// Training pairs in files. Immutable after construction, safe to read from several threads; what is drawn for a pair
/// is a pure function of (row, stream), and every member draws the same from equal streams.
class PairSource {
 public:
  virtual ~PairSource() = default;
  virtual int64_t size() const noexcept = 0;
  /// Names of the groups (SourceConfig::group_by), at least one; and which of them a row is in.
  virtual const std::vector<std::string>& groups() const noexcept = 0;
  virtual int64_t group_of(int64_t row) const noexcept = 0;
  /// What read() would say, without reading more than it must.
  virtual PairIdentity identity(int64_t row, RandomStream stream) const = 0;
  virtual PairSize pair_size(int64_t row, RandomStream stream) const = 0;
  /// The pair with `hard_negatives` negatives.
  /// throws DataError: the source has no hard negatives for the query. Images are not opened here.
  virtual TrainingPair read(int64_t row, RandomStream stream, int64_t hard_negatives) const = 0;
  /// Where a pair with an image is, for messages; "" when all are text. Hard negatives are not looked at.
  virtual std::string first_image() const { return {}; }
  /// A document of the source's pool. where: who asks for it, for messages.
  /// throws DataError: the pool lacks it. InternalError: the source has no pool.
  virtual Record document(std::string_view did, std::string_view where) const = 0;
};

}  // namespace trireme
