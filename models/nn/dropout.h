#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/tensor.h"

namespace trireme {

/// What identifies the rows of a packed tensor to dropout.
struct DropoutRows {
  uint64_t seed = 0;
  int64_t step = 0;
  torch::Tensor row_ids;  ///< [T] int64 on the CPU: the row's number in the step's global batch, each once
};

/// nullptr: no dropout.
inline const DropoutRows* pointer_to(const std::optional<DropoutRows>& rows) { return rows ? &*rows : nullptr; }

/// One bit per value, 16 columns in one int16: bit j of mask[t, i] is 1 where column 16 i + j of row t is kept.
/// [T, ceil(columns / 16)] int16 on the CPU. Kept with chance 1 - p, p rounded to a multiple of 2^-16. A bit depends on
/// (seed, name, step, row id, column) alone: Philox4x32-10 with a key drawn from random_stream(seed, name, step), one
/// 16-bit number per value.
/// p in [0, 1).
torch::Tensor dropout_mask(const DropoutRows& rows, const std::string& name, double p, int64_t columns);

/// x [T, C] where the mask keeps it, divided by 1 - p, else 0. `mask` from dropout_mask. Not differentiable: for use
/// inside functions that have their own backward. Any dtype and device.
torch::Tensor apply_mask(const torch::Tensor& x, const torch::Tensor& mask, double p);

}  // namespace trireme
