#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "core/tensor.h"
#include "data/loader/image_digest.h"
#include "data/loader/record_loader.h"
#include "data/prompt/embedding_prompt.h"
#include "data/sources/records.h"
#include "models/lmm.h"

namespace trireme {

/// Records with a text, an image or both, and what happens where one cannot be read.
struct RecordsToEmbed {
  const RecordFile& records;
  ImageRoot image_root = {};
  OnDataError on_error = OnDataError::kStop;
};

/// This rank's part of the work. Seconds on the wall clock.
struct EmbedCounts {
  int64_t records = 0, tokens = 0, images = 0, batches = 0;
  int64_t skipped = 0;     ///< records that could not be read, under on_error: skip
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

/// What makes vectors of records: the one thing that search, mining and evaluation see of a model, whatever its family
/// and however it is asked.
class Embedder {
 public:
  virtual ~Embedder() = default;
  /// Values of a vector.
  virtual int64_t dim() const = 0;
  /// Embeds this rank's share of the records, without gradient, and hands over unit vectors as they come, each row on
  /// one rank. throws DataError: a record that cannot be read, unless on_error skips it. No collective.
  virtual EmbedCounts embed(const RecordsToEmbed& what, const Communicator& communicator, const EmbeddedRows& take,
                            const EmbedSkipped& skip, const EmbedProgress& progress) const = 0;
};

/// An LMM and the prompt whose last position embeds a record. Borrows both: a trainer passes the model that it is
/// training. loader: its image_root and on_error are those of what is embedded.
class LmmEmbedder : public Embedder {
 public:
  LmmEmbedder(const Lmm& model, const EmbeddingPrompt& prompt, RecordLoaderOptions loader)
      : model_(model), prompt_(prompt), loader_(std::move(loader)) {}
  int64_t dim() const override { return model_.config.decoder.hidden_size; }
  EmbedCounts embed(const RecordsToEmbed& what, const Communicator& communicator, const EmbeddedRows& take,
                    const EmbedSkipped& skip, const EmbedProgress& progress) const override;

 private:
  const Lmm& model_;
  const EmbeddingPrompt& prompt_;
  RecordLoaderOptions loader_;
};

/// The embeddings of a file.
struct EmbeddedFile {
  torch::Tensor rows;               ///< [N, D] float32: row i embeds record i, of those that are not skipped
  std::vector<SkippedRow> skipped;  ///< ascending
  ImageDigest pictures;             ///< of all ranks
};
/// The same on every rank. Memory: the result. Every rank enters; one all-reduce of N * D.
/// throws DataError: every record was skipped.
EmbeddedFile embed_in_memory(const Embedder& embedder, const RecordsToEmbed& what, Communicator& communicator,
                             const EmbedProgress& progress = {});

}  // namespace trireme
