#pragma once

#include <cstdint>
#include <vector>

#include "retrieval/search/id_table.h"

namespace trireme {

/// What stands between a query and a block of the corpus.
struct BlockScorer {
  const float* query;  ///< [D]
  const float* block;  ///< [rows, D]
  int64_t first_row;   ///< of the block, in the corpus
  int64_t dim;
  double error;  ///< bound on |proposed - exact score| of every row of the block
  const IdTable& ids;
};

/// The best rows of one query so far. Proposals of a matrix product come in by push(); every one that could still be
/// among the k best by exact score is kept, and settle() decides by exact scores while the block is in memory.
/// Holds at most 2 k + 64 rows, whatever the data: also when a whole corpus lies within the product's error.
class Candidates {
 public:
  /// excluded: ascending rows that are never kept; outlives this.
  Candidates(int64_t k, const std::vector<int64_t>& excluded);

  /// A row below it cannot come in; only ever rises within a block.
  float threshold() const noexcept { return threshold_; }
  void push(int64_t row, float proposed, const BlockScorer& scorer);
  /// Before the first push() of a block.
  void enter_block(const BlockScorer& scorer);
  /// After the last push() of a block: exact scores, the k best, best first.
  void settle(const BlockScorer& scorer);

  struct Entry {
    float score;
    int32_t row;
    bool exact;  ///< else `score` is a proposal for a row of the block being searched
  };
  const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  void drop_hopeless(double error);

  std::size_t k_;
  const std::vector<int64_t>& excluded_;
  std::vector<Entry> entries_;
  float threshold_;
};

}  // namespace trireme
