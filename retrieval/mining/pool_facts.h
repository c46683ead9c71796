#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/distributed/communicator.h"
#include "data/sources/records.h"
#include "retrieval/mining/picture_hash.h"

namespace trireme {

/// What filters compare of a pool's documents: concepts and pictures. Rows run through the files one after the other.
/// Memory: 8 bytes a document with concepts, 16 and a table's overhead for each picture hashed.
class PoolFacts {
 public:
  enum class Concepts : bool { kIgnored, kRead };

  /// Facts of nothing: every document is without concept and picture.
  PoolFacts() = default;
  /// `files` outlive the facts. Reads all lines once for their concepts. throws DataError as RecordFile.
  PoolFacts(std::vector<const RecordFile*> files, ImageRoot image_root, Concepts concepts);

  /// Hash of the field "concept", 0 without one.
  int64_t concept_of(int64_t row) const;

  /// Hashes the pictures of these rows, those that are not known yet; rows without one are passed over. Ranks share
  /// the work. Collective, with the same rows on every rank.
  /// throws DataError: a picture that is missing or cannot be decoded.
  void hash_pictures(std::vector<int64_t> rows, PictureComparison comparison, Communicator& communicator);
  /// Both were hashed with this comparison. false when either has no picture.
  bool same_picture(int64_t a, int64_t b, PictureComparison comparison, int64_t dhash_bits) const;

 private:
  struct Place {
    const RecordFile& file;
    int64_t row;
  };
  Place place_of(int64_t row) const;

  std::vector<const RecordFile*> files_;
  std::vector<int64_t> begin_{0};  ///< [files + 1]
  ImageRoot image_root_;
  std::vector<int64_t> concepts_;                      ///< of each row, or none
  std::unordered_map<int64_t, uint64_t> hash_of_row_;  ///< of rows with a picture
};

}  // namespace trireme
