#include "data/loader/record_loader.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/io/file.h"

namespace trireme {
namespace {

struct EncodedRecord {
  EncodedSequence sequence;
  PictureDigest picture;
};

/// What one record becomes; an image is decoded and cut before its text is tokenised, since its size decides the
/// prompt.
EncodedRecord encode_record(const Record& record, int64_t row, const EmbeddingPrompt& prompt,
                            const RecordLoaderOptions& options, const std::string& where) {
  EncodedRecord encoded;
  EncodedSequence& out = encoded.sequence;
  std::optional<int64_t> image_tokens;
  if (!record.image.empty()) {
    TRIREME_CHECK(options.image_processor.has_value(), DataError, where,
                  "a text-only model takes records without images; got {}; use a vision-language checkpoint.",
                  record.image);
    const std::string place = fmt::format("{} {}", where, record.image);
    const MappedFile file(resolve_image(options.image_root, record.image, where));
    const RgbImage image = decode_image(file.bytes(), place, options.alpha);
    encoded.picture.add(row, file.bytes());
    out.images.push_back(preprocess_image(image, *options.image_processor, place));
    const int64_t merge = options.image_processor->merge_size;
    image_tokens = out.images[0].grid_h * out.images[0].grid_w / (merge * merge);
  }
  out.tokens = prompt.encode(record.text, image_tokens, where);
  return encoded;
}

}  // namespace

struct RecordLoader::State {
  State(const RecordFile& record_file, const EmbeddingPrompt& embedding_prompt, RecordLoaderOptions loader_options,
        int64_t first_block, int64_t block_stride)
      : records(record_file),
        prompt(embedding_prompt),
        options(std::move(loader_options)),
        next_block(first_block),
        stride(block_stride) {}

  /// A loading thread: claim the next block of this rank until there is none.
  void load_blocks() {
    try {
      while (load_block(next_block.fetch_add(stride))) {
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    --running;
    changed.notify_all();
  }

  bool load_block(int64_t block) {
    const int64_t begin = block * options.records_per_block;
    if (begin >= records.size()) return false;
    const int64_t end = std::min(begin + options.records_per_block, records.size());
    LoadedBatch batch{begin, {}, {}, {}};
    std::vector<EncodedSequence> sequences;
    int64_t tokens = 0;
    const auto flush = [&](int64_t next_row) {
      if (!sequences.empty()) batch.batch = pack(sequences, options.pack);
      sequences.clear();
      tokens = 0;
      return push(std::exchange(batch, LoadedBatch{next_row, {}, {}, {}}));
    };
    for (int64_t row = begin; row < end; ++row) {
      Record record = records.read(row);
      EncodedRecord encoded;
      try {
        encoded = encode_record(record, row, prompt, options, records.where(row));
      } catch (const DataError& error) {
        if (options.on_error == OnDataError::kStop) throw;
        // A batch is of consecutive rows: this one ends before the row, the next begins after it.
        batch.skipped.push_back({row, std::move(record.id), error.what()});
        if (!flush(row + 1)) return false;
        continue;
      }
      const auto length = std::ssize(encoded.sequence.tokens);
      if (!sequences.empty() && tokens + length > options.tokens_per_batch && !flush(row)) return false;
      tokens += length;
      batch.ids.push_back(std::move(record.id));
      sequences.push_back(std::move(encoded.sequence));
      batch.pictures += encoded.picture;
    }
    return batch.ids.empty() || flush(end);
  }

  /// Waits for room; false when the loader is being torn down.
  bool push(LoadedBatch batch) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stopping || std::ssize(ready) < options.queued_batches; });
    if (stopping) return false;
    ready.push_back(std::move(batch));
    changed.notify_all();
    return true;
  }

  const RecordFile& records;
  const EmbeddingPrompt& prompt;
  const RecordLoaderOptions options;
  std::atomic<int64_t> next_block;
  const int64_t stride;
  int64_t share = 0;  ///< records of this rank

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<LoadedBatch> ready;
  std::exception_ptr failure;
  int64_t running = 0;
  bool stopping = false;
  double waited_s = 0;
  std::vector<std::jthread> threads;  // last: joined before what they use goes
};

RecordLoader::RecordLoader(const RecordFile& records, const EmbeddingPrompt& prompt, RecordLoaderOptions options,
                           int64_t rank, int64_t ranks) {
  TRIREME_ASSERT(options.threads >= 1 && options.queued_batches >= 1 && options.records_per_block >= 1,
                 "{} threads, {} queued batches, {} records a block", options.threads, options.queued_batches,
                 options.records_per_block);
  state_ = std::make_unique<State>(records, prompt, std::move(options), rank, ranks);
  State& state = *state_;
  const int64_t block = state.options.records_per_block;
  for (int64_t begin = rank * block; begin < records.size(); begin += ranks * block) {
    state.share += std::min(block, records.size() - begin);
  }
  state.running = state.options.threads;
  for (int64_t i = 0; i < state.options.threads; ++i) state.threads.emplace_back([&state] { state.load_blocks(); });
}

RecordLoader::~RecordLoader() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

std::optional<LoadedBatch> RecordLoader::next() {
  State& state = *state_;
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return !state.ready.empty() || state.running == 0; });
  state.waited_s += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (state.ready.empty()) {
    if (state.failure) std::rethrow_exception(state.failure);
    return std::nullopt;
  }
  LoadedBatch batch = std::move(state.ready.front());
  state.ready.pop_front();
  state.changed.notify_all();
  return batch;
}

int64_t RecordLoader::records() const noexcept { return state_->share; }

double RecordLoader::waited_s() const noexcept { return state_->waited_s; }

}  // namespace trireme
