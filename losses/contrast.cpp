#include "losses/contrast.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace trireme {
namespace {

/// torch.nn.CosineSimilarity's, which LamRA's code uses.
constexpr double kLeastLength = 1e-8;

torch::Tensor lengths(const torch::Tensor& x) { return at::linalg_vector_norm(x, 2, {1}, true); }

}  // namespace

torch::Tensor unit_rows(const torch::Tensor& x) { return x / lengths(x).clamp_min(kLeastLength); }

torch::Tensor unit_rows_backward(const torch::Tensor& gradient, const torch::Tensor& x) {
  const torch::Tensor length = lengths(x);
  const torch::Tensor inverse = length.clamp_min(kLeastLength).reciprocal();
  const torch::Tensor unit = x * inverse;
  const torch::Tensor along = (gradient * unit).sum(1, true).masked_fill_(length < kLeastLength, 0);
  return (gradient - unit.mul_(along)).mul_(inverse);
}

torch::Tensor mean_cosine_between(const torch::Tensor& sum_of_rows, const torch::Tensor& sum_of_squares, int64_t rows) {
  if (rows < 2) return at::zeros_like(sum_of_squares);
  const auto pairs = static_cast<double>(rows) * static_cast<double>(rows - 1);
  return (sum_of_rows.dot(sum_of_rows) - sum_of_squares) / pairs;
}

}  // namespace trireme
