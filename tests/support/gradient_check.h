#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace trireme::test {

/// Largest difference between autograd's gradients of sum(weights * function(inputs)), weights random, and central
/// differences, over every element of every input. Inputs float64; keep them small, each element costs two calls.
double gradient_error(const std::function<torch::Tensor(const std::vector<torch::Tensor>&)>& function,
                      const std::vector<torch::Tensor>& inputs);

}  // namespace trireme::test
