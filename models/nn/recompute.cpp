#include "models/nn/recompute.h"

#include <algorithm>
#include <iterator>

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/nn/capsule.h"

namespace trireme {
namespace {

using Block = std::function<torch::Tensor(const torch::Tensor&)>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Recompute : torch::autograd::Function<Recompute> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, at::TensorList parameters,
                               const Block& block) {
    variable_list kept{x};
    kept.insert(kept.end(), parameters.begin(), parameters.end());
    context->save_for_backward(std::move(kept));
    context->saved_data["block"] = in_capsule(block);
    return block(x.clone());
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    variable_list inputs = context->get_saved_variables();
    const bool wants_x = context->needs_input_grad(0);
    const auto x = inputs.front().detach().set_requires_grad(wants_x);
    inputs.front() = x;
    if (!wants_x) inputs.erase(inputs.begin());
    torch::Tensor y;
    {
      const torch::AutoGradMode record(true);
      y = from_capsule<Block>(context->saved_data["block"])(x);
    }
    variable_list results = torch::autograd::grad({y}, inputs, grads, /*retain_graph=*/false, /*create_graph=*/false,
                                                  /*allow_unused=*/true);
    if (!wants_x) results.insert(results.begin(), torch::Tensor());
    results.emplace_back();  // of `block`
    return results;
  }
};

}  // namespace

torch::Tensor recompute(const Block& block, const torch::Tensor& x, const std::vector<torch::Tensor>& parameters) {
  return Recompute::apply(x, at::TensorList(parameters), block);
}

std::vector<torch::Tensor> trainable_of(std::initializer_list<torch::Tensor> norms,
                                        std::initializer_list<const Linear*> layers) {
  std::vector<torch::Tensor> tensors(norms);
  for (const Linear* layer : layers) std::ranges::move(tensors_of(*layer), std::back_inserter(tensors));
  std::erase_if(tensors, [](const torch::Tensor& x) { return !x.defined() || !x.requires_grad(); });
  return tensors;
}

}  // namespace trireme
