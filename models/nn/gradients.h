#pragma once

#include "core/tensor.h"
#include "models/nn/attention.h"
#include "models/nn/dropout.h"
#include "models/nn/linear.h"
#include "models/nn/rotary.h"

/// The layers of models/nn as autograd Functions: forwards with the bits of the plain ones, backwards written out, so
/// that little is kept between the two. Called by the layers themselves where a gradient is recorded; not by models.
namespace trireme {

/// Keeps x.
torch::Tensor rms_norm_with_gradient(const torch::Tensor& x, const torch::Tensor& weight, double eps);

/// Keeps gate_up.
torch::Tensor swiglu_with_gradient(const torch::Tensor& gate_up);

/// Keeps x.
torch::Tensor quick_gelu_with_gradient(const torch::Tensor& x);

/// residual (or nothing) + linear(x). Keeps x, A x of the LoRA terms (r values a row), and the masks, one bit a value.
torch::Tensor linear_with_gradient(const std::optional<torch::Tensor>& residual, const torch::Tensor& x,
                                   const Linear& layer, const DropoutRows* dropout);

/// Keeps qkv; the weights are made again. Only where the CPU kernels take qkv.
torch::Tensor rotary_attention_with_gradient(const torch::Tensor& qkv, const AttentionHeads& heads,
                                             const RotaryTable& table, const Seqlens& seqlens, AttentionMask mask);

}  // namespace trireme
