#include "models/nn/linear.h"

#include <algorithm>

#include "models/nn/grad_mode.h"
#include "models/nn/gradients.h"
#include "models/nn/linear_product.h"

namespace trireme {
namespace {

bool records_gradient(const torch::Tensor& x, const Linear& layer) {
  if (trireme::records_gradient(x)) return true;
  const auto tensors = tensors_of(layer);
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const auto& tensor) { return trireme::records_gradient(tensor); });
}

}  // namespace

std::vector<torch::Tensor> tensors_of(const Linear& layer) {
  std::vector<torch::Tensor> tensors{layer.weight};
  if (layer.bias.defined()) tensors.push_back(layer.bias);
  for (const LoraTerm& term : layer.lora) {
    tensors.push_back(term.a);
    tensors.push_back(term.b);
  }
  return tensors;
}

torch::Tensor linear(const torch::Tensor& x, const Linear& layer, const DropoutRows* dropout) {
  if (records_gradient(x, layer)) return linear_with_gradient(std::nullopt, x, layer, dropout);
  return linear_product(std::nullopt, x, layer, dropout, Residual::kKeep).y;
}

torch::Tensor add_linear(torch::Tensor residual, const torch::Tensor& x, const Linear& layer,
                         const DropoutRows* dropout) {
  if (records_gradient(x, layer) || trireme::records_gradient(residual)) {
    return linear_with_gradient(residual, x, layer, dropout);
  }
  return linear_product(std::move(residual), x, layer, dropout, Residual::kOverwrite).y;
}

}  // namespace trireme
