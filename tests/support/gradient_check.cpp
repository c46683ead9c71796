#include "tests/support/gradient_check.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/zeros_like.h>

#include "core/tensor.h"

namespace trireme::test {

double gradient_error(const std::function<torch::Tensor(const std::vector<torch::Tensor>&)>& function,
                      const std::vector<torch::Tensor>& inputs) {
  constexpr double kStep = 1e-6;
  std::vector<torch::Tensor> leaves;
  for (const auto& input : inputs) leaves.push_back(input.detach().clone().set_requires_grad(true));
  const auto out = function(leaves);
  const auto weights = at::rand_like(out.detach());
  (out * weights).sum().backward();

  const at::NoGradGuard no_grad;
  double worst = 0;
  for (auto& leaf : leaves) {
    auto values = leaf.detach().view({-1});
    const auto gradient = leaf.grad().defined() ? leaf.grad().reshape({-1}) : at::zeros_like(values);
    for (int64_t i = 0; i < values.numel(); ++i) {
      const double value = values[i].item<double>();
      const auto loss_at = [&](double x) {
        values[i].fill_(x);
        return (function(leaves) * weights).sum().item<double>();
      };
      const double slope = (loss_at(value + kStep) - loss_at(value - kStep)) / (2 * kStep);
      values[i].fill_(value);
      worst = std::max(worst, std::abs(slope - gradient[i].item<double>()));
    }
  }
  return worst;
}

}  // namespace trireme::test
