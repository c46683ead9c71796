#include "trainers/optim/gradient_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include "core/error.h"

namespace trireme {

GradientNorm gradient_norm(const std::vector<torch::Tensor>& gradients, std::optional<double> clip_norm) {
  TRIREME_ASSERT(!gradients.empty(), "no gradients");
  constexpr double kAgainstZero = 1e-6;
  const c10::NoGradGuard no_grad;
  std::vector<torch::Tensor> norms = at::_foreach_norm(gradients);
  const auto widest = gradients.front().scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  for (torch::Tensor& norm : norms) norm = norm.to(widest);
  const torch::Tensor norm = at::linalg_vector_norm(at::stack(norms)).to(torch::kFloat32);
  return {.norm = norm,
          .divisor = clip_norm ? ((norm + kAgainstZero) / *clip_norm).clamp_min(1) : at::ones_like(norm),
          .non_finite = at::isfinite(norm).logical_not().to(torch::kFloat32)};
}

}  // namespace trireme
