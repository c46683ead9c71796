#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "core/tensor.h"
#include "models/nn/linear.h"

namespace trireme {

/// block(x), keeping only x for the backward pass, which runs the block again; activation checkpointing,
/// arXiv:1604.06174. `block` may take x over; it must be a pure function of x and of `parameters`: the tensors that ask
/// for gradients and that it reads otherwise than through x. Results and gradients have the bits of a plain call.
torch::Tensor recompute(const std::function<torch::Tensor(const torch::Tensor&)>& block, const torch::Tensor& x,
                        const std::vector<torch::Tensor>& parameters);

/// What of a block's norms and linear layers asks for gradients; undefined tensors do not.
std::vector<torch::Tensor> trainable_of(std::initializer_list<torch::Tensor> norms,
                                        std::initializer_list<const Linear*> layers);

}  // namespace trireme
