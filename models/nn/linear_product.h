#pragma once

#include <optional>
#include <vector>

#include <torch/types.h>

#include "models/nn/dropout.h"
#include "models/nn/linear.h"

namespace trireme {

/// A linear layer's output, and of its LoRA terms what a backward pass needs.
struct LinearProduct {
  torch::Tensor y;                   ///< [T, out]
  torch::Tensor low;                 ///< [T, sum of r] in the terms' dtype: A x of each term, one beside the other
  std::vector<torch::Tensor> masks;  ///< of each term; undefined where nothing is dropped
};

enum class Residual { kKeep, kOverwrite };

/// residual (or nothing) + W x + bias + terms. Records no gradient: to be called where none is asked for.
LinearProduct linear_product(const std::optional<torch::Tensor>& residual, const torch::Tensor& x, const Linear& layer,
                             const DropoutRows* dropout, Residual use);

/// [sum of r, in]: every term's A, one under the other.
torch::Tensor stacked_a(const std::vector<LoraTerm>& terms);

}  // namespace trireme
