#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace trireme {

struct DropoutRows;

/// A low-rank term on rows [row_begin, row_begin + b.size(0)) of a linear layer's output: scale * B (A x).
/// Source: LoRA, arXiv:2106.09685, sec. 4.1. Kept in float32 (float64 in a float64 model) whatever the layer's dtype,
/// as PEFT keeps it: x is cast to A's dtype, the sum is cast back to the layer's.
struct LoraTerm {
  torch::Tensor a;  ///< [r, in]
  torch::Tensor b;  ///< [rows, r]
  double scale = 1;
  int64_t row_begin = 0;
  std::string path;    ///< canonical module path: names the stream of the dropout
  double dropout = 0;  ///< chance of each value of x to be left out of the term, in forward passes that drop
};

/// y = W x + bias + LoRA terms. Several of a checkpoint's layers that read the same x may be held as one (q, k and v;
/// gate and up): one product is faster than three, and each LoRA term knows its rows.
struct Linear {
  torch::Tensor weight;  ///< [out, in]
  torch::Tensor bias;    ///< [out], or undefined
  std::vector<LoraTerm> lora;
};

/// Weight, bias where there is one, and every term's A and B.
std::vector<torch::Tensor> tensors_of(const Linear& layer);

/// x [T, in] -> [T, out] in the layer's dtype. Differentiable in x, weight, bias, a and b.
/// On the CPU a row's result does not depend on the rows around it: fewer than 16 are computed as 16.
/// dropout: what identifies the rows of x; nullptr: the LoRA terms drop nothing.
torch::Tensor linear(const torch::Tensor& x, const Linear& layer, const DropoutRows* dropout = nullptr);

/// residual [T, out] + linear(x). Takes `residual` over: where no gradient is recorded the sum is made in its memory.
torch::Tensor add_linear(torch::Tensor residual, const torch::Tensor& x, const Linear& layer,
                         const DropoutRows* dropout = nullptr);

}  // namespace trireme
