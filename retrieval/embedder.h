#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "core/tensor.h"
#include "data/image/image.h"
#include "data/loader/image_digest.h"
#include "data/loader/packer.h"
#include "data/loader/record_loader.h"
#include "data/prompt/embedding_prompt.h"
#include "models/compute_dtype.h"
#include "models/lmm.h"

namespace trireme {

class FieldList;

/// Which weights embed, and how: what embed and eval have in common.
struct EmbedderConfig {
  std::filesystem::path model;
  std::optional<std::filesystem::path> adapter;
  PromptForm prompt = PromptForm::kLamra;
  std::string system_prompt = std::string(kQwenSystemPrompt);
  std::optional<int64_t> text_tokens;
  RopeMode rope_mode = RopeMode::kMrope;
  ComputeDtype dtype = ComputeDtype::kFloat32;
  AlphaMode alpha = AlphaMode::kWhite;
  std::optional<int64_t> min_pixels, max_pixels;
  int64_t block_records = 32;
  int64_t batch_tokens = 8192;
  int64_t loader_threads = 1;

  /// Paths are left out of hashes: results name the weights and the adapter by the hashes of their contents.
  void describe(FieldList& v);
};

/// A model and all that turns records into its batches. Borrowed: a trainer passes the model that it is training.
struct Embedder {
  const Lmm& model;
  const EmbeddingPrompt& prompt;
  RecordLoaderOptions loader;
};

/// This rank's part of the work. Seconds on the wall clock.
struct EmbedCounts {
  int64_t records = 0, tokens = 0, images = 0, batches = 0;
  int64_t skipped = 0;     ///< records that could not be read, under loader.on_error: skip
  double embed_s = 0;      ///< first batch asked for to last row taken
  double data_wait_s = 0;  ///< of embed_s: waiting for the loader
  ImageDigest pictures;    ///< of what was decoded
};

/// Rows [first_row, first_row + ids.size()) of the file; [n, D] float32 on the CPU.
using EmbeddedRows =
    std::function<void(int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows)>;
/// A record that could not be read, as it is met.
using EmbedSkipped = std::function<void(const SkippedRow& record)>;
/// Records that this rank has done, and has in all.
using EmbedProgress = std::function<void(int64_t done, int64_t of)>;

/// Embeds this rank's share of the records, without gradient, and hands the rows over as they come.
/// throws what the loader throws. No collective.
EmbedCounts embed_share(const Embedder& embedder, const RecordFile& records, const Communicator& communicator,
                        const EmbeddedRows& take, const EmbedSkipped& skip, const EmbedProgress& progress);

/// The embeddings of a file.
struct EmbeddedFile {
  torch::Tensor rows;               ///< [N, D] float32: row i embeds record i, of those that are not skipped
  std::vector<SkippedRow> skipped;  ///< ascending
  ImageDigest pictures;             ///< of all ranks
};
/// The same on every rank. Memory: the result. Every rank enters; one all-reduce of N * D.
/// throws DataError: every record was skipped.
EmbeddedFile embed_in_memory(const Embedder& embedder, const RecordFile& records, Communicator& communicator,
                             const EmbedSkipped& skip = {}, const EmbedProgress& progress = {});

}  // namespace trireme
