#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/nn/capsule.h"
#include "models/nn/gradients.h"
#include "models/nn/linear_product.h"

namespace trireme {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The parts of a linear layer that are not tensors with gradients, and what its forward pass kept for the backward.
struct LinearCall {
  struct Term {
    int64_t row_begin, rows, rank;
    double scale, dropout;
  };
  std::vector<Term> terms;
  std::vector<torch::Tensor> masks;
  torch::Tensor low;
  bool residual = false, bias = false;
};

/// Gradients of the LoRA terms: to x (added to grad_x, where that is defined), to each A and B.
/// With u = A x, y = s B u: dL/du = s B^T dL/dy, dL/dB = s dL/dy u^T, dL/dA = dL/du x^T, dL/dx = A^T dL/du.
class TermGradients {
 public:
  TermGradients(const LinearCall& call, const torch::Tensor& grad, const torch::Tensor& x, variable_list a,
                variable_list b)
      : call_(call), x_(x), a_(std::move(a)), b_(std::move(b)), grad_(grad), wide_(a_.front().scalar_type()) {}

  variable_list run(torch::Tensor& grad_x, bool wants_terms) {
    if (low_rank_kernel_takes(x_, a_.front())) {
      return x_.scalar_type() == torch::kFloat32 ? run_by_kernel<float>(grad_x) : run_by_kernel<c10::BFloat16>(grad_x);
    }
    for (std::size_t i = 0; i < call_.terms.size(); ++i) add_low_gradient(i, wants_terms);
    const bool dropped = std::any_of(call_.masks.begin(), call_.masks.end(), [](const auto& m) { return m.defined(); });
    if (dropped) {
      for (std::size_t i = 0; i < call_.terms.size(); ++i) finish_one(i, grad_x, wants_terms);
    } else {
      finish_stacked(grad_x, wants_terms);
    }
    variable_list results;
    for (std::size_t i = 0; i < call_.terms.size(); ++i) {
      results.push_back(wants_terms ? grad_a_[i] : torch::Tensor());
      results.push_back(wants_terms ? grad_b_[i] : torch::Tensor());
    }
    return results;
  }

 private:
  template <class T>
  variable_list run_by_kernel(torch::Tensor& grad_x) {
    const auto x = x_.contiguous(), grad = grad_.contiguous();
    const float* low = call_.low.const_data_ptr<float>();
    variable_list results;
    for (std::size_t i = 0; i < call_.terms.size(); ++i) {
      const LinearCall::Term& term = call_.terms[i];
      results.push_back(at::empty_like(a_[i]));
      results.push_back(at::empty_like(b_[i]));
      cpu::low_rank_backward(low_rank_term(a_[i], b_[i], term.scale, call_.masks[i], term.dropout),
                             x.const_data_ptr<T>(), x.size(0), low + low_begin_, call_.low.stride(0),
                             grad.const_data_ptr<T>() + term.row_begin, grad.stride(0),
                             grad_x.defined() ? grad_x.mutable_data_ptr<T>() : nullptr,
                             results[2 * i].mutable_data_ptr<float>(), results[2 * i + 1].mutable_data_ptr<float>());
      low_begin_ += term.rank;
    }
    return results;
  }

  void add_low_gradient(std::size_t i, bool wants_terms) {
    const LinearCall::Term& term = call_.terms[i];
    const auto grad = grad_.narrow(1, term.row_begin, term.rows).to(wide_);
    grad_low_.push_back(at::mm(grad, b_[i]).mul_(term.scale));
    if (wants_terms) {
      const auto low = call_.low.narrow(1, low_begin_, term.rank);
      grad_b_.push_back(at::mm(grad.t(), low).mul_(term.scale));
    }
    low_begin_ += term.rank;
  }

  void add_to(torch::Tensor& grad_x, const torch::Tensor& grad_low, const torch::Tensor& a) const {
    if (grad_x.scalar_type() == wide_) {
      grad_x.addmm_(grad_low, a);
    } else {
      grad_x.add_(at::mm(grad_low, a));
    }
  }

  void finish_stacked(torch::Tensor& grad_x, bool wants_terms) {
    const auto grad_low = grad_low_.size() == 1 ? grad_low_.front() : at::cat(grad_low_, 1);
    if (grad_x.defined()) add_to(grad_x, grad_low, a_.size() == 1 ? a_.front() : at::cat(a_, 0));
    if (!wants_terms) return;
    const auto grad_a = at::mm(grad_low.t(), x_.to(wide_));
    int64_t begin = 0;
    for (const LinearCall::Term& term : call_.terms) {
      grad_a_.push_back(call_.terms.size() == 1 ? grad_a : grad_a.narrow(0, begin, term.rank).clone());
      begin += term.rank;
    }
  }

  void finish_one(std::size_t i, torch::Tensor& grad_x, bool wants_terms) {
    const auto& mask = call_.masks[i];
    const double p = call_.terms[i].dropout;
    if (grad_x.defined()) {
      if (mask.defined()) {
        grad_x.add_(apply_mask(at::mm(grad_low_[i], a_[i]), mask, p));
      } else {
        add_to(grad_x, grad_low_[i], a_[i]);
      }
    }
    if (!wants_terms) return;
    const auto x = x_.to(wide_);
    grad_a_.push_back(at::mm(grad_low_[i].t(), mask.defined() ? apply_mask(x, mask, p) : x));
  }

  const LinearCall& call_;
  const torch::Tensor& x_;
  variable_list a_, b_;
  torch::Tensor grad_;
  c10::ScalarType wide_;
  int64_t low_begin_ = 0;
  variable_list grad_low_, grad_a_, grad_b_;
};

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static torch::Tensor forward(AutogradContext* context, const std::optional<torch::Tensor>& residual,
                               const torch::Tensor& x, const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias, at::TensorList pairs, const Linear& layer,
                               const DropoutRows* dropout) {
    LinearProduct product = linear_product(residual, x, layer, dropout, Residual::kKeep);
    variable_list kept{x, weight};
    kept.insert(kept.end(), pairs.begin(), pairs.end());
    context->save_for_backward(std::move(kept));
    LinearCall call{{}, std::move(product.masks), product.low, residual.has_value(), bias.has_value()};
    for (const LoraTerm& term : layer.lora) {
      call.terms.push_back({term.row_begin, term.b.size(0), term.a.size(0), term.scale, term.dropout});
    }
    context->saved_data["call"] = in_capsule(std::move(call));
    return product.y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    const torch::Tensor &x = kept[0], &weight = kept[1], &grad = grads[0];
    const LinearCall call = from_capsule<LinearCall>(context->saved_data["call"]);
    // Inputs that were left out have no edge.
    const std::size_t x_edge = call.residual ? 1 : 0, weight_edge = x_edge + 1,
                      pairs_edge = weight_edge + 1 + call.bias;
    torch::Tensor grad_x, grad_weight, grad_bias;
    if (context->needs_input_grad(x_edge)) grad_x = at::mm(grad, weight);
    if (context->needs_input_grad(weight_edge)) grad_weight = at::mm(grad.t(), x);
    if (call.bias && context->needs_input_grad(weight_edge + 1)) grad_bias = at::sum(grad, 0);
    variable_list pairs;
    if (!call.terms.empty()) {
      variable_list a, b;
      for (std::size_t i = 2; i < kept.size(); i += 2) {
        a.push_back(kept[i]);
        b.push_back(kept[i + 1]);
      }
      pairs = TermGradients(call, grad, x, a, b)
                  .run(grad_x, context->needs_input_grad({{pairs_edge, pairs_edge + 2 * call.terms.size()}}));
    }
    variable_list results{call.residual ? grad : torch::Tensor(), grad_x, grad_weight, grad_bias};
    results.insert(results.end(), pairs.begin(), pairs.end());
    results.resize(results.size() + 2);  // of `layer` and `dropout`
    return results;
  }
};

}  // namespace

torch::Tensor linear_with_gradient(const std::optional<torch::Tensor>& residual, const torch::Tensor& x,
                                   const Linear& layer, const DropoutRows* dropout) {
  variable_list pairs;
  for (const LoraTerm& term : layer.lora) {
    pairs.push_back(term.a);
    pairs.push_back(term.b);
  }
  return LinearFunction::apply(residual, x, layer.weight,
                               layer.bias.defined() ? std::optional(layer.bias) : std::nullopt, at::TensorList(pairs),
                               layer, dropout);
}

}  // namespace trireme
