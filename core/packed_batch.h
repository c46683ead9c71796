#pragma once

#include "core/tensor.h"

namespace trireme {

/// The one struct between data and models: B sequences laid end to end, never padded. Everything is on one device.
/// Shape letters: B sequences, T tokens of all of them, I images, P image patches of all of them, N rows asked for.
struct PackedBatch {
  /// [T] int64. Image tokens are the checkpoint's image_token_id, one per merged 2x2 patch group.
  torch::Tensor tokens;
  /// [3, T] int64: time, height, width axis of M-RoPE. Under rope_mode oned all three rows are 0..L-1 per sequence.
  torch::Tensor position_ids;
  /// [B+1] int64, on the CPU whatever the device: sequence b is tokens [cu_seqlens[b], cu_seqlens[b+1]).
  torch::Tensor cu_seqlens;
  /// [P, C*2*14*14] float32: normalised patches, images in order of appearance, in the processor's 2x2-grouped order.
  /// Undefined or [0, ..] when the batch has no image.
  torch::Tensor patches;
  /// [I, 3] int64, on the CPU: time, height, width of each image in patches; height and width are multiples of 2.
  torch::Tensor grid;
  /// [P/4] int64: rows of `tokens` that hold image tokens, ascending: where the vision tower's output is spliced in.
  torch::Tensor image_rows;
  /// [N] int64: the token rows whose hidden states are asked for. For embedding: the last row of each sequence.
  torch::Tensor rows;
};

}  // namespace trireme
