#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace trireme {

/// Cosines and sines of one rotary embedding: [T, head_dim / 2] float32 each. Made once per batch, used by every layer.
/// Source: RoFormer, arXiv:2104.09864, eq. 34, in the half-split layout: element i turns with element i + head_dim / 2.
struct RotaryTable {
  torch::Tensor cos, sin;
};

/// The decoder's table. position_ids [3, T] int64: time, height, width (M-RoPE, arXiv:2409.12191, sec. 2.1).
/// sections: how many of the head_dim / 2 frequencies follow each axis, in turn; empty: all follow the first row (1-D).
RotaryTable decoder_rotary_table(const torch::Tensor& position_ids, const std::vector<int64_t>& sections,
                                 int64_t head_dim, double theta);

/// The vision tower's table. patch_positions [2, P] int64: row and column of each patch in its image; the first quarter
/// of head_dim turns with the row, the second with the column.
RotaryTable vision_rotary_table(const torch::Tensor& patch_positions, int64_t head_dim);

/// x [T, H, head_dim] turned by the table, in float32, cast back to x's dtype. Differentiable in x.
torch::Tensor rotate(const torch::Tensor& x, const RotaryTable& table);

}  // namespace trireme
