#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace trireme {

/// Every file of ours carries these at its root, with its own attributes beside them (docs/formats.md).
struct Hdf5Format {
  std::string name;           ///< trireme_format: "embeddings", "run", ..
  int64_t version = 1;        ///< format_version
  std::string config_sha256;  ///< over the resolved options that change values
};

/// The row count of a dataset that grows as it is written.
inline constexpr int64_t kGrowingRows = -1;

/// Writes an HDF5 file of named datasets of rows and root attributes, whole or not at all (AtomicFile). Numbers are
/// chunked, shuffled and deflated with Huffman codes only (docs/formats.md has the measurement): any HDF5 reads them.
/// Files hold no times, so equal calls give equal bytes. Writers and readers of one process may run on any threads, one
/// at a time each: calls into the library take turns.
/// throws DataError: not writable, disk full. Nothing of the library's own error report reaches the terminal.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path);
  Hdf5Writer(Hdf5Writer&&) noexcept;
  ~Hdf5Writer();  ///< without commit() nothing stays

  /// shape [rows, ..]; rows may be kGrowingRows. dtype: float32, float16, int64 or int32, stored little-endian.
  void create(const std::string& name, c10::ScalarType dtype, const std::vector<int64_t>& shape);
  /// Variable-length UTF-8, row-major.
  void create_strings(const std::string& name, const std::vector<int64_t>& shape);
  /// Rows [first_row, first_row + rows.size(0)) in any order, each once; dtype and the other sizes as created; CPU.
  /// Cheap when blocks come roughly in order: at most 16 chunks of 256 KiB wait for their missing rows.
  void write(const std::string& name, int64_t first_row, const torch::Tensor& rows);
  /// values [rows * the other sizes]. throws DataError: not UTF-8, or a NUL inside (the format ends strings there).
  void write_strings(const std::string& name, int64_t first_row, std::span<const std::string> values);
  void set_attribute(const std::string& name, std::string_view value);
  void set_attribute(const std::string& name, int64_t value);
  void set_attribute(const std::string& name, double value);
  /// trireme_format, format_version, created_by and config_sha256.
  void set_format(const Hdf5Format& format);
  /// Rows never written hold zeros and "".
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads such a file, also one that h5py or another tool wrote.
/// throws DataError: missing, not HDF5, truncated, a dataset or attribute absent or of another type, damaged data; each
/// names the file and the dataset.
class Hdf5Reader {
 public:
  explicit Hdf5Reader(const std::filesystem::path& path);
  Hdf5Reader(Hdf5Reader&&) noexcept;
  ~Hdf5Reader();

  const std::filesystem::path& path() const noexcept;
  /// Refuses a file of another format or of a version above `newest_version`.
  Hdf5Format require_format(std::string_view name, int64_t newest_version) const;
  std::string string_attribute(const std::string& name) const;
  int64_t int_attribute(const std::string& name) const;
  double double_attribute(const std::string& name) const;

  bool has_dataset(const std::string& name) const;
  std::vector<int64_t> shape(const std::string& name) const;
  /// nullopt: strings.
  std::optional<c10::ScalarType> dtype(const std::string& name) const;
  /// Rows [first_row, first_row + count), [count, ..] in the stored dtype.
  torch::Tensor read(const std::string& name, int64_t first_row, int64_t count) const;
  /// Row-major: count * the other sizes.
  std::vector<std::string> read_strings(const std::string& name, int64_t first_row, int64_t count) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The HDF5 library in use: "1.10.8".
std::string hdf5_library_version();

}  // namespace trireme
