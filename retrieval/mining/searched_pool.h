#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/io/embeddings_file.h"
#include "core/tensor.h"
#include "data/sources/records.h"
#include "retrieval/mining/mine_block.h"
#include "retrieval/search/search.h"

namespace trireme {

/// Vectors in several embeddings files, one after the other.
class JoinedSource : public VectorSource {
 public:
  /// At least one file; all of one width. throws DataError as EmbeddingsReader.
  explicit JoinedSource(const std::vector<std::filesystem::path>& files);
  int64_t rows() const override { return begin_.back(); }
  int64_t dim() const override { return readers_.front().dim(); }
  torch::Tensor read(int64_t first_row, int64_t count) const override;
  bool claims_unit_length() const override { return true; }
  /// Of the same rows.
  std::vector<std::string> read_ids(int64_t first_row, int64_t count) const;

 private:
  struct Piece {
    const EmbeddingsReader& reader;
    int64_t first_row, count;
  };
  std::vector<Piece> pieces(int64_t first_row, int64_t count) const;

  std::vector<EmbeddingsReader> readers_;
  std::vector<int64_t> begin_{0};  ///< [files + 1]
};

/// The documents that a group of queries searches: parts of the pool, opened.
class SearchedPool {
 public:
  /// embeddings and records in the same order; records outlive the pool.
  SearchedPool(const std::vector<std::filesystem::path>& embeddings, std::vector<const RecordFile*> records,
               const ImageRoot& image_root, PoolFacts::Concepts concepts);
  const IdTable& ids() const noexcept { return ids_; }
  const PoolFacts& facts() const noexcept { return facts_; }
  MiningPool view() { return {vectors_, ids_, facts_}; }

 private:
  JoinedSource vectors_;
  IdTable ids_;
  PoolFacts facts_;
};

}  // namespace trireme
