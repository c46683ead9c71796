#pragma once

#include <optional>

#include "core/tensor.h"

namespace trireme {

/// What the gradients of one step amount to. Three scalars that stay on the gradients' device: nothing here waits for a
/// GPU, and the host may read `norm` whenever it reads the loss.
struct GradientNorm {
  /// [] float32: the square root of the sum of squares over all elements; Inf or NaN when any is.
  torch::Tensor norm;
  /// [] float32, at least 1: what Optimizer::step divides the gradients by, so that their norm is at most clip_norm.
  torch::Tensor divisor;
  /// [] float32: 1 when the norm is not finite, else 0. Optimizer::step then changes nothing at all.
  torch::Tensor non_finite;
};

/// gradients: at least one, all on one device, summed over the ranks already.
/// clip_norm: > 0, or none. As torch.nn.utils.clip_grad_norm_ has it: the factor is clip_norm / (norm + 1e-6), at most
/// 1; the norm is taken of the norms of the single tensors.
GradientNorm gradient_norm(const std::vector<torch::Tensor>& gradients, std::optional<double> clip_norm);

}  // namespace trireme
