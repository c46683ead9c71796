#pragma once

#include "core/tensor.h"

namespace trireme {

/// x / sqrt(mean(x^2) + eps) over the last axis, in float32, cast to x's dtype, then times weight: transformers' order
/// of rounding. Source: arXiv:1910.07467, eq. 4. x [T, D]; weight [D] of x's dtype. Differentiable in both.
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);

/// Source: arXiv:1607.06450, eq. 3. x [T, D]; weight, bias [D] of x's dtype; statistics in float32. Differentiable.
torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias, double eps);

}  // namespace trireme
