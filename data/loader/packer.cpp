#include "data/loader/packer.h"

#include <algorithm>
#include <cstring>

#include <ATen/ops/empty.h>

#include "core/error.h"

namespace trireme {
namespace {

/// Writes the three position rows of one sequence, columns [begin, begin + tokens).
class PositionWriter {
 public:
  PositionWriter(int64_t* rows, int64_t total) : time_(rows), height_(rows + total), width_(rows + 2 * total) {}

  void text(int64_t column) { put(column, next_, next_, next_), ++next_; }

  /// A merged grid of h x w tokens from `column` on.
  void image(int64_t column, int64_t h, int64_t w) {
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) put(column++, next_, next_ + y, next_ + x);
    }
    next_ += std::max(h, w);
  }

 private:
  void put(int64_t column, int64_t t, int64_t y, int64_t x) {
    time_[column] = t, height_[column] = y, width_[column] = x;
  }
  int64_t *time_, *height_, *width_;
  int64_t next_ = 0;
};

void write_positions(const SequenceView& sequence, const PackOptions& options, int64_t begin, PositionWriter writer) {
  const auto length = std::ssize(sequence.tokens);
  auto image = sequence.images.begin();
  for (int64_t i = 0; i < length;) {
    if (options.rope_mode == RopeMode::kOned ||
        sequence.tokens[static_cast<std::size_t>(i)] != options.image_token_id) {
      writer.text(begin + i);
      ++i;
      continue;
    }
    TRIREME_ASSERT(image != sequence.images.end(), "image token {} belongs to no image", i);
    const int64_t h = (*image)->grid_h / options.merge_size, w = (*image)->grid_w / options.merge_size;
    TRIREME_ASSERT(i + h * w <= length, "an image of {} x {} tokens starts at {} of {}", h, w, i, length);
    writer.image(begin + i, h, w);
    i += h * w;
    ++image;
  }
}

/// How many image tokens the sequences have, and that they are those of their images.
int64_t count_image_tokens(std::span<const SequenceView> sequences, const PackOptions& options) {
  int64_t image_tokens = 0;
  for (const SequenceView& sequence : sequences) {
    TRIREME_ASSERT(!sequence.tokens.empty(), "a sequence has at least one token");
    int64_t own = 0;
    for (const ImagePatches* image : sequence.images)
      own += image->grid_h * image->grid_w / (options.merge_size * options.merge_size);
    const auto pads = std::count(sequence.tokens.begin(), sequence.tokens.end(), options.image_token_id);
    TRIREME_ASSERT(options.image_token_id < 0 || pads == own, "{} image tokens for {} merged patches", pads, own);
    image_tokens += own;
  }
  return image_tokens;
}

}  // namespace

PackedImages pack_images(std::span<const ImagePatches* const> images) {
  int64_t patches = 0, patch_width = 0;
  for (const ImagePatches* image : images) {
    const int64_t count = image->grid_h * image->grid_w;
    patches += count;
    patch_width = std::ssize(image->values) / count;
  }
  PackedImages out{at::empty({patches, patch_width}, torch::kFloat32),
                   at::empty({std::ssize(images), 3}, torch::kInt64)};
  auto* patch_out = out.patches.mutable_data_ptr<float>();
  auto* grid_out = out.grid.mutable_data_ptr<int64_t>();
  for (const ImagePatches* image : images) {
    patch_out = std::copy(image->values.begin(), image->values.end(), patch_out);
    *grid_out++ = 1, *grid_out++ = image->grid_h, *grid_out++ = image->grid_w;
  }
  return out;
}

PackedBatch pack_without_images(std::span<const SequenceView> sequences, const PackOptions& options) {
  TRIREME_ASSERT(!sequences.empty(), "a batch has at least one sequence");
  const int64_t image_tokens = count_image_tokens(sequences, options);
  int64_t tokens = 0;
  for (const SequenceView& sequence : sequences) tokens += std::ssize(sequence.tokens);

  const auto rows = std::ssize(sequences);
  PackedBatch batch;
  batch.tokens = at::empty({tokens}, torch::kInt64);
  batch.position_ids = at::empty({3, tokens}, torch::kInt64);
  batch.cu_seqlens = at::empty({rows + 1}, torch::kInt64);
  batch.image_rows = at::empty({image_tokens}, torch::kInt64);
  batch.rows = at::empty({rows}, torch::kInt64);

  auto* token_out = batch.tokens.mutable_data_ptr<int64_t>();
  auto* offset_out = batch.cu_seqlens.mutable_data_ptr<int64_t>();
  auto* image_row_out = batch.image_rows.mutable_data_ptr<int64_t>();
  auto* row_out = batch.rows.mutable_data_ptr<int64_t>();
  auto* position_out = batch.position_ids.mutable_data_ptr<int64_t>();
  *offset_out++ = 0;
  int64_t begin = 0;
  for (const SequenceView& sequence : sequences) {
    write_positions(sequence, options, begin, PositionWriter(position_out, tokens));
    for (int64_t token : sequence.tokens) {
      if (token == options.image_token_id) *image_row_out++ = begin;
      token_out[begin++] = token;
    }
    *offset_out++ = begin;
    *row_out++ = begin - 1;
  }
  return batch;
}

PackedBatch pack(std::span<const SequenceView> sequences, const PackOptions& options) {
  PackedBatch batch = pack_without_images(sequences, options);
  std::vector<const ImagePatches*> images;
  for (const SequenceView& sequence : sequences)
    images.insert(images.end(), sequence.images.begin(), sequence.images.end());
  PackedImages packed = pack_images(images);
  batch.patches = std::move(packed.patches);
  batch.grid = std::move(packed.grid);
  return batch;
}

PackedBatch pack(std::span<const EncodedSequence> sequences, const PackOptions& options) {
  std::vector<SequenceView> views;
  for (const EncodedSequence& sequence : sequences) {
    views.push_back({sequence.tokens, {}});
    for (const ImagePatches& image : sequence.images) views.back().images.push_back(&image);
  }
  return pack(views, options);
}

}  // namespace trireme
