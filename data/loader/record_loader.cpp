#include "data/loader/record_loader.h"

#include <algorithm>

#include "core/error.h"
#include "data/loader/pair_encoder.h"

namespace trireme {
namespace {

/// A record, or why it is left out.
struct EncodedRecord {
  std::string id;
  EncodedSequence sequence;
  ImageDigest image;
  std::optional<std::string> skipped;
};

/// What turns blocks into batches; shared by the blocks under way.
struct BlockEncoder {
  const RecordFile& records;
  const EmbeddingPrompt& prompt;
  const RecordLoaderOptions options;
  const ImageReader images{options.image_root, options.image_processor, options.alpha};

  EncodedRecord encode(int64_t row) const {
    const Record record = records.read(row);
    EncodedRecord out{.id = record.id, .sequence = {}, .image = {}, .skipped = {}};
    try {
      out.sequence = encode_record(record, images, prompt, records.where(row), {},
                                   [&](std::span<const std::byte> bytes) { out.image.add(row, bytes); });
    } catch (const DataError& error) {
      if (options.on_error == OnDataError::kStop) throw;
      out.skipped = error.what();
    }
    return out;
  }

  /// Cuts a block into batches.
  std::deque<LoadedBatch> batches(std::vector<EncodedRecord> block, int64_t first_row) const {
    std::deque<LoadedBatch> out;
    std::vector<EncodedSequence> sequences;
    LoadedBatch batch{first_row, {}, {}, {}};
    int64_t tokens = 0, row = first_row;
    const auto flush = [&](int64_t next_row) {
      if (!sequences.empty()) batch.batch = pack(sequences, options.pack);
      sequences.clear();
      tokens = 0;
      out.push_back(std::exchange(batch, LoadedBatch{next_row, {}, {}, {}}));
    };
    for (EncodedRecord& record : block) {
      if (record.skipped) {
        // A batch is of consecutive rows: this one ends before the row, the next begins after it.
        batch.skipped.push_back({row, std::move(record.id), std::move(*record.skipped)});
        flush(++row);
        continue;
      }
      const auto length = std::ssize(record.sequence.tokens);
      if (!sequences.empty() && tokens + length > options.tokens_per_batch) flush(row);
      tokens += length;
      batch.ids.push_back(std::move(record.id));
      sequences.push_back(std::move(record.sequence));
      batch.images += record.image;
      ++row;
    }
    if (!batch.ids.empty()) flush(row);
    return out;
  }
};

/// Blocks read ahead: one, and what threads that get to its end need to go on.
int64_t queued_blocks(const RecordLoaderOptions& options) {
  constexpr int64_t kRecordsPerThread = 4;
  return 1 + (options.threads * kRecordsPerThread + options.records_per_block - 1) / options.records_per_block;
}

}  // namespace

RecordLoader::RecordLoader(const RecordFile& records, const EmbeddingPrompt& prompt, const RecordLoaderOptions& options,
                           int64_t rank, int64_t ranks)
    : blocks_(
          [encoder = std::make_shared<const BlockEncoder>(records, prompt, options), rank,
           ranks](int64_t number) -> std::optional<ItemWork<std::deque<LoadedBatch>>> {
            const int64_t size = encoder->options.records_per_block, first_row = (rank + number * ranks) * size;
            if (first_row >= encoder->records.size()) return std::nullopt;
            const auto count = static_cast<std::size_t>(std::min(size, encoder->records.size() - first_row));
            const auto block = std::make_shared<std::vector<EncodedRecord>>(count);
            return ItemWork<std::deque<LoadedBatch>>{
                .parts = count,
                .do_part = [=](std::size_t i) { (*block)[i] = encoder->encode(first_row + static_cast<int64_t>(i)); },
                .finish = [=] { return encoder->batches(std::move(*block), first_row); }};
          },
          {.threads = options.threads, .queued = queued_blocks(options)}) {
  const int64_t size = options.records_per_block;
  for (int64_t begin = rank * size; begin < records.size(); begin += ranks * size)
    share_ += std::min(size, records.size() - begin);
}

std::optional<LoadedBatch> RecordLoader::next() {
  while (block_.empty()) {
    std::optional<std::deque<LoadedBatch>> block = blocks_.next();
    if (!block) return std::nullopt;
    block_ = std::move(*block);
  }
  LoadedBatch batch = std::move(block_.front());
  block_.pop_front();
  return batch;
}

}  // namespace trireme
