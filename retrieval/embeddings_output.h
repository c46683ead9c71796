#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "core/tensor.h"

namespace trireme {

/// An embeddings file that all ranks write together: each its own part, which rank 0 joins at the end; alone, the file
/// itself. What a job leaves behind that ends before commit() is the older file of that name, or none.
class EmbeddingsOutput {
 public:
  /// As EmbeddingsWriter. `communicator` outlives the output. may_skip: whether rows may be skipped; the file is then
  /// written in parts by one rank too.
  EmbeddingsOutput(std::filesystem::path out, int64_t rows, int64_t dim, c10::ScalarType store,
                   Communicator& communicator, bool may_skip = false);
  ~EmbeddingsOutput();
  EmbeddingsOutput(const EmbeddingsOutput&) = delete;
  EmbeddingsOutput& operator=(const EmbeddingsOutput&) = delete;

  /// Rows [first_row, first_row + ids.size()) of the whole file, each row on one rank.
  void write(int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows);
  void skip(const SkippedRow& row) { writer_.skip(row); }
  /// Collective; the file is whole on return, on every rank.
  void commit(const EmbeddingsInfo& info);

 private:
  std::filesystem::path out_, part_;
  Communicator& communicator_;
  bool whole_;  ///< written as it will be, not in parts
  EmbeddingsWriter writer_;
};

}  // namespace trireme
