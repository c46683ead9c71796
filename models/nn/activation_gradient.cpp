#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sigmoid.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/parallel.h"
#include "models/nn/activation.h"
#include "models/nn/cpu_kernels.h"
#include "models/nn/grad_mode.h"
#include "models/nn/gradients.h"

namespace trireme {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kValuesPerThread = 1 << 14;

torch::Tensor swiglu_backward_by_ops(const torch::Tensor& grad, const torch::Tensor& gate_up) {
  const int64_t width = gate_up.size(1) / 2;
  const auto gate = gate_up.narrow(1, 0, width), up = gate_up.narrow(1, width, width);
  const auto sig = at::sigmoid(gate);
  const auto silu = gate * sig;
  return at::cat({grad * up * (sig + silu * (1 - sig)), grad * silu}, 1);
}

template <class T>
void swiglu_backward_into(torch::Tensor& result, const torch::Tensor& grad, const torch::Tensor& gate_up) {
  const int64_t width = grad.size(1);
  const T *g = grad.const_data_ptr<T>(), *from = gate_up.const_data_ptr<T>();
  T* to = result.mutable_data_ptr<T>();
  parallel_for(grad.size(0), kValuesPerThread / width + 1, [&](int64_t begin, int64_t end) {
    cpu::swiglu_backward(g + begin * width, from + begin * 2 * width, end - begin, width, to + begin * 2 * width);
  });
}

torch::Tensor swiglu_gradient(const torch::Tensor& grad, const torch::Tensor& gate_up) {
  if (!has_cpu_kernel(gate_up) || !gate_up.is_contiguous()) return swiglu_backward_by_ops(grad, gate_up);
  auto result = at::empty_like(gate_up);
  if (gate_up.scalar_type() == torch::kFloat32) {
    swiglu_backward_into<float>(result, grad.contiguous(), gate_up);
  } else {
    swiglu_backward_into<c10::BFloat16>(result, grad.contiguous(), gate_up);
  }
  return result;
}

torch::Tensor quick_gelu_backward_by_ops(const torch::Tensor& grad, const torch::Tensor& x) {
  constexpr double kSlope = 1.702;
  const auto sig = at::sigmoid(kSlope * x);
  return grad * (sig + kSlope * x * sig * (1 - sig));
}

template <class T>
void quick_gelu_backward_into(torch::Tensor& result, const torch::Tensor& grad, const torch::Tensor& x) {
  const T *g = grad.const_data_ptr<T>(), *from = x.const_data_ptr<T>();
  T* to = result.mutable_data_ptr<T>();
  parallel_for(x.numel(), kValuesPerThread, [&](int64_t begin, int64_t end) {
    cpu::quick_gelu_backward(g + begin, from + begin, end - begin, to + begin);
  });
}

torch::Tensor quick_gelu_gradient(const torch::Tensor& grad, const torch::Tensor& x) {
  if (!has_cpu_kernel(x) || !x.is_contiguous()) return quick_gelu_backward_by_ops(grad, x);
  auto result = at::empty_like(x);
  if (x.scalar_type() == torch::kFloat32) {
    quick_gelu_backward_into<float>(result, grad.contiguous(), x);
  } else {
    quick_gelu_backward_into<c10::BFloat16>(result, grad.contiguous(), x);
  }
  return result;
}

struct Swiglu : torch::autograd::Function<Swiglu> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& gate_up) {
    context->save_for_backward({gate_up});
    return swiglu(gate_up);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {swiglu_gradient(grads[0], context->get_saved_variables()[0])};
  }
};

struct QuickGelu : torch::autograd::Function<QuickGelu> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x) {
    context->save_for_backward({x});
    return quick_gelu(x.clone());
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {quick_gelu_gradient(grads[0], context->get_saved_variables()[0])};
  }
};

}  // namespace

torch::Tensor swiglu_with_gradient(const torch::Tensor& gate_up) { return Swiglu::apply(gate_up); }

torch::Tensor quick_gelu_with_gradient(const torch::Tensor& x) { return QuickGelu::apply(x); }

}  // namespace trireme
