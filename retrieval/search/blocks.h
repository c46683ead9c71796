#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/read_ahead.h"
#include "core/tensor.h"
#include "retrieval/search/id_table.h"
#include "retrieval/search/search.h"

namespace trireme {

/// Rows [begin, end) of the corpus.
struct RowRange {
  int64_t begin, end;
};

/// The consecutive rows that fall to a rank; shares differ by one row at most.
RowRange share_of_rank(int64_t rows, int64_t rank, int64_t ranks);

/// Rows of the corpus in memory.
struct Block {
  int64_t first_row;
  torch::Tensor vectors;  ///< [n, D] float32, n >= 1
};

/// Reads a range of rows block by block, one block ahead on a thread of its own.
class BlockReader {
 public:
  /// `corpus` outlives the reader.
  BlockReader(const VectorSource& corpus, RowRange range, int64_t block_rows);
  /// nullopt after the last. throws what reading throws; ShapeError: a block of another shape or dtype.
  std::optional<Block> next() { return blocks_.next(); }

 private:
  ReadAhead<Block> blocks_;
};

/// float32 and float16 are searched, in float32 (which holds every float16).
bool is_searchable(c10::ScalarType dtype);

/// The euclidean norm of each row of vectors [n, D] float32.
/// name  of a row, for the message.   unit_length  whether each row is said to have norm 1.
/// throws DataError: NaN or infinity in a row, a norm above 1e18 (products of two such are still float32), or with
/// unit_length one further from 1 than float16 explains (0.01).
std::vector<double> checked_norms(const torch::Tensor& vectors, bool unit_length,
                                  const std::function<std::string(int64_t row)>& name);

/// The largest norm in a block of the corpus; rows are named by their ids.
double checked_largest_norm(const Block& block, const VectorSource& corpus, const IdTable& ids);

}  // namespace trireme
