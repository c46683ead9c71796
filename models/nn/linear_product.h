#pragma once

#include <optional>
#include <vector>

#include "core/tensor.h"
#include "models/nn/cpu_low_rank.h"
#include "models/nn/dropout.h"
#include "models/nn/linear.h"

namespace trireme {

/// A linear layer's output, and of its LoRA terms what a backward pass needs.
struct LinearProduct {
  torch::Tensor y;                   ///< [T, out]
  torch::Tensor low;                 ///< [T, sum of r] in the terms' dtype: A x of each term,
                                     ///< one beside the other
  std::vector<torch::Tensor> masks;  ///< of each term; undefined where nothing is dropped
};

enum class Residual { kKeep, kOverwrite };

/// residual (or nothing) + W x + bias + terms. Records no gradient: to be called where none is asked for.
LinearProduct linear_product(const std::optional<torch::Tensor>& residual, const torch::Tensor& x, const Linear& layer,
                             const DropoutRows* dropout, Residual use);

/// Whether cpu_low_rank.h takes a term with this A on this x.
bool low_rank_kernel_takes(const torch::Tensor& x, const torch::Tensor& a);
/// Its view of a term; the tensors must outlive it. mask undefined: nothing is dropped.
cpu::LowRankTerm low_rank_term(const torch::Tensor& a, const torch::Tensor& b, double scale, const torch::Tensor& mask,
                               double dropout);

/// [sum of r, in]: every term's A, one under the other.
torch::Tensor stacked_a(const std::vector<LoraTerm>& terms);

}  // namespace trireme
