#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace trireme {

/// block(x), keeping only x for the backward pass, which runs the block again; activation checkpointing,
/// arXiv:1604.06174. `block` may take x over; it must be a pure function of x and of `parameters`: the tensors that ask
/// for gradients and that it reads otherwise than through x. Results and gradients have the bits of a plain call.
torch::Tensor recompute(const std::function<torch::Tensor(const torch::Tensor&)>& block, const torch::Tensor& x,
                        const std::vector<torch::Tensor>& parameters);

}  // namespace trireme
