#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "data/image/preprocess.h"

namespace trireme {

enum class RopeMode {
  kMrope,  ///< three position axes; images numbered by row and column, as Qwen2-VL is meant to be used
  kOned,   ///< one position a token on all axes, as LamRA's Qwen2-VL checkpoints were trained
};

constexpr auto choice_names(RopeMode) {
  return std::to_array<std::pair<RopeMode, std::string_view>>({{RopeMode::kMrope, "mrope"}, {RopeMode::kOned, "oned"}});
}

/// One tokenised prompt and its images, in order of appearance; image i owns grid_h * grid_w / merge^2 of the tokens.
struct EncodedSequence {
  std::vector<int64_t> tokens;
  std::vector<ImagePatches> images;
};

struct PackOptions {
  RopeMode rope_mode = RopeMode::kMrope;
  int64_t image_token_id = -1;
  int64_t merge_size = 2;
};

/// The same with images that are somewhere else: sequences may share them.
struct SequenceView {
  std::span<const int64_t> tokens;
  std::vector<const ImagePatches*> images;
};

/// Images end to end, as PackedBatch has them.
struct PackedImages {
  torch::Tensor patches;  ///< [P, C*2*14*14] float32; [0, 0] without an image
  torch::Tensor grid;     ///< [I, 3] int64
};
PackedImages pack_images(std::span<const ImagePatches* const> images);

/// Lays sequences end to end, asks for the last row of each, and numbers their positions.
/// M-RoPE positions are those of transformers' get_rope_index: text counts up on all three axes; an image starting at
/// position s has (s, s + row, s + column) over its merged grid, and the text after it goes on at the largest + 1.
/// throws InternalError: an empty sequence, or image tokens that do not match the images' grids.
PackedBatch pack(std::span<const EncodedSequence> sequences, const PackOptions& options);
PackedBatch pack(std::span<const SequenceView> sequences, const PackOptions& options);
/// Without patches and grid, for a batch whose images are encoded apart: image_rows says where they go.
PackedBatch pack_without_images(std::span<const SequenceView> sequences, const PackOptions& options);

}  // namespace trireme
