#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/io/fingerprint.h"
#include "core/tensor.h"

namespace trireme {

/// What stands in an embedding file's root attributes (docs/formats.md): who made it, of which weights, how.
struct EmbeddingsInfo {
  std::string model;           ///< the model folder as the user named it
  std::string model_sha256;    ///< over the weight files
  std::string adapter_sha256;  ///< "" without an adapter
  std::string rope_mode;       ///< "mrope" or "oned"
  std::string config_sha256;   ///< over the resolved options that change values
  bool normalized = true;
  Fingerprint fingerprint = {};  ///< what the values follow from; empty: a file of version 1, or made elsewhere
  /// Over the stamps (core/io/file_stamp.h) of the pictures that were embedded; "" when nobody is to compare them.
  std::string picture_stamps = {};
  bool operator==(const EmbeddingsInfo&) const = default;
};

/// A record of the record file that has no row in an embeddings file, since it could not be read.
struct SkippedRow {
  int64_t row = 0;  ///< of the record file, from 0
  std::string id, reason;
  bool operator==(const SkippedRow&) const = default;
};

/// kWhole: the file a user gets, every row in it. kPart: one rank's share of the rows, for join_embedding_parts().
enum class EmbeddingsFileKind { kWhole, kPart };

/// HDF5 file with /embedding [N, D] (float32 or float16) and /id [N] UTF-8, written in blocks of rows with bounded
/// memory, chunked and compressed; appears under its name only at commit(). One thread at a time per writer; several
/// writers and readers of one process may work side by side (calls into HDF5 take turns). throws DataError: not
/// writable, disk full, NaN or infinity in a row, or an id that is not UTF-8 (names id and row).
class EmbeddingsWriter {
 public:
  /// `rows` N and `dim` D are those of the whole file, also for a part. store_dtype: float32 or float16.
  EmbeddingsWriter(const std::filesystem::path& path, int64_t rows, int64_t dim, c10::ScalarType store_dtype,
                   EmbeddingsFileKind kind = EmbeddingsFileKind::kWhole);
  EmbeddingsWriter(EmbeddingsWriter&&) noexcept;
  ~EmbeddingsWriter();
  /// Rows [first_row, first_row + ids.size()) of the whole file; embeddings [n, D] float32 on the CPU. Blocks may come
  /// in any order, each row once.
  void write(int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& embeddings);
  /// Of a part: this row of the whole file will not be written. The joined file leaves it out and tells of it.
  void skip(const SkippedRow& row);
  /// Of a whole file: the rows of the record file that it does not have.
  void list_skipped(std::vector<SkippedRow> rows);
  /// kWhole requires every row written; a part may hold any rows, also none. Attributes, fsync, rename.
  void commit(const EmbeddingsInfo& info);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// OUT.part-<rank>: where a rank writes its part of OUT.
std::filesystem::path embeddings_part_path(const std::filesystem::path& out, int rank);

/// Joins the parts that the ranks committed into one file, rows in order, as one rank would have written it, and
/// removes the parts, whether it succeeds or throws. Rows that parts skipped have no place in it; they are listed in
/// /skipped_row [S], /skipped_id and /skipped_reason, which a file without any does not have. Memory: a few chunks.
/// Every rank of the embed pipeline does
///   const bool alone = comm.size() == 1;
///   EmbeddingsWriter writer(alone ? out : embeddings_part_path(out, comm.rank()), rows, dim, dtype,
///                           alone ? EmbeddingsFileKind::kWhole : EmbeddingsFileKind::kPart);
///   writer.write(..) for each of its blocks, then writer.commit(info) and a barrier;
/// rank 0 then joins, if not alone.
/// throws DataError: a part missing or damaged, parts that disagree on N, D, dtype or info, a row in no part or in two
/// (each names the part and the rows), every row skipped, disk full.
void join_embedding_parts(const std::vector<std::filesystem::path>& parts, const std::filesystem::path& out);

/// throws DataError: missing, not HDF5, truncated, another trireme_format, N of /id and /embedding unequal.
class EmbeddingsReader {
 public:
  explicit EmbeddingsReader(const std::filesystem::path& path);
  EmbeddingsReader(EmbeddingsReader&&) noexcept;
  ~EmbeddingsReader();
  int64_t rows() const noexcept;
  int64_t dim() const noexcept;
  c10::ScalarType dtype() const noexcept;
  const EmbeddingsInfo& info() const noexcept;
  /// [count, D] in the stored dtype. throws DataError: damaged data (checksum), naming the rows.
  torch::Tensor read(int64_t first_row, int64_t count) const;
  std::vector<std::string> read_ids(int64_t first_row, int64_t count) const;
  /// In ascending order of their rows in the record file, which has rows() more.
  std::vector<SkippedRow> skipped() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
