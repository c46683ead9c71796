#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/io/embeddings_file.h"
#include "core/packed_batch.h"
#include "core/read_ahead.h"
#include "data/image/preprocess.h"
#include "data/loader/image_digest.h"
#include "data/loader/packer.h"
#include "data/prompt/embedding_prompt.h"
#include "data/sources/records.h"

namespace trireme {

struct RecordLoaderOptions {
  ImageRoot image_root;
  /// The model's image preprocessing; empty for a text-only model.
  std::optional<ImageProcessorConfig> image_processor;
  AlphaMode alpha = AlphaMode::kWhite;
  PackOptions pack;
  int64_t records_per_block = 32;   ///< what ranks are dealt; a few blocks are read ahead, which bounds memory
  int64_t tokens_per_batch = 8192;  ///< a block is cut into batches of at most this many tokens (one record at least)
  int64_t threads = 1;
  OnDataError on_error = OnDataError::kStop;
};

/// Records [first_row, first_row + ids.size()) of the file, ready for the model; with on_error: skip there may be none.
struct LoadedBatch {
  int64_t first_row = 0;
  std::vector<std::string> ids;
  PackedBatch batch;                ///< undefined tensors when there are no records
  std::vector<SkippedRow> skipped;  ///< others, left out on the way to these; reason: what was thrown
  ImageDigest images = {};          ///< of what the images were decoded from
};

/// Turns a record file into packed batches for embedding, on its own threads: read, decode, resize, patchify, tokenise,
/// pack. Block b (records_per_block consecutive records) belongs to rank b % ranks. Batches come in the order of the
/// file; what one holds depends on the file and the options alone, never on ranks, threads or timing.
class RecordLoader {
 public:
  /// records and prompt outlive the loader. Starts loading at once.
  RecordLoader(const RecordFile& records, const EmbeddingPrompt& prompt, const RecordLoaderOptions& options,
               int64_t rank, int64_t ranks);

  /// The next batch; empty when this rank's share is done. Blocks until one is ready.
  /// throws, once the batches of the blocks before it were taken, under on_error: stop the DataError of the first
  /// record that cannot be read, with its file, line and image.
  std::optional<LoadedBatch> next();
  /// Records in this rank's share.
  int64_t records() const noexcept { return share_; }
  /// Seconds that next() has spent waiting so far.
  double waited_s() const noexcept { return blocks_.waited_s(); }

 private:
  int64_t share_ = 0;
  ReadAhead<std::deque<LoadedBatch>> blocks_;
  std::deque<LoadedBatch> block_;  ///< what is left of the one in turn
};

}  // namespace trireme
