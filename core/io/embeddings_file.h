#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace trireme {

/// What stands in an embedding file's root attributes (docs/formats.md): who made it, of which weights, how.
struct EmbeddingsInfo {
  std::string model;          ///< the model folder as the user named it
  std::string model_sha256;   ///< over the weight files
  std::string adapter_sha256; ///< "" without an adapter
  std::string rope_mode;      ///< "mrope" or "oned"
  std::string config_sha256;  ///< over the resolved options that change values
  bool normalized = true;
  bool operator==(const EmbeddingsInfo&) const = default;
};

/// HDF5 file with /embedding [N, D] (float32 or float16) and /id [N] UTF-8, written in blocks of rows with bounded memory,
/// chunked and compressed; appears under its name only at commit(). One writer, one thread.
/// throws DataError: not writable, disk full, NaN or infinity in a row (names the id).
class EmbeddingsWriter {
 public:
  /// `rows` N and `dim` D are fixed at creation.
  EmbeddingsWriter(const std::filesystem::path& path, int64_t rows, int64_t dim, c10::ScalarType store_dtype);
  ~EmbeddingsWriter();
  /// rows [first_row, first_row + ids.size()); embeddings [n, D] float32 on the CPU. Blocks may come in any order.
  void write(int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& embeddings);
  /// Requires every row written. Attributes, fsync, rename.
  void commit(const EmbeddingsInfo& info);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// throws DataError: missing, not HDF5, truncated, another trireme_format, N of /id and /embedding unequal.
class EmbeddingsReader {
 public:
  explicit EmbeddingsReader(const std::filesystem::path& path);
  ~EmbeddingsReader();
  int64_t rows() const noexcept;
  int64_t dim() const noexcept;
  c10::ScalarType dtype() const noexcept;
  const EmbeddingsInfo& info() const noexcept;
  /// [count, D] in the stored dtype.
  torch::Tensor read(int64_t first_row, int64_t count) const;
  std::vector<std::string> read_ids(int64_t first_row, int64_t count) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
