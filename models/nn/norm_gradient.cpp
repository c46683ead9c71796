#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/parallel.h"
#include "models/nn/cpu_kernels.h"
#include "models/nn/grad_mode.h"
#include "models/nn/gradients.h"
#include "models/nn/norm.h"

namespace trireme {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct NormGradients {
  torch::Tensor x, weight;  ///< undefined where not wanted
};

/// The formula of cpu_kernels.cpp, on any device and dtype.
NormGradients backward_by_ops(const torch::Tensor& grad, const torch::Tensor& x, const torch::Tensor& weight,
                              double eps, bool wants_weight) {
  const auto wide = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto x_wide = x.to(wide), grad_wide = grad.to(wide);
  const auto scale = at::rsqrt(at::mean(x_wide * x_wide, -1, true) + eps);
  const auto weighted = grad_wide * weight.to(wide);
  const auto slope = at::mean(weighted * x_wide, -1, true) * scale * scale * scale;
  NormGradients gradients{(weighted * scale - x_wide * slope).to(x.scalar_type()), {}};
  if (wants_weight) gradients.weight = at::sum(grad_wide * x_wide * scale, 0).to(weight.scalar_type());
  return gradients;
}

/// The weight's gradient is summed over chunks of rows, then over the chunks, so its bits do not depend on the threads.
template <class T>
NormGradients backward_by_kernel(const torch::Tensor& grad, const torch::Tensor& x, const torch::Tensor& weight,
                                 double eps, bool wants_weight) {
  constexpr int64_t kChunkRows = 128;
  const int64_t width = x.size(-1), rows = x.numel() / width, chunks = (rows + kChunkRows - 1) / kChunkRows;
  NormGradients gradients{at::empty_like(x), {}};
  torch::Tensor sums;
  if (wants_weight) sums = at::zeros({chunks, width}, x.options().dtype(torch::kFloat32));
  const T *g = grad.const_data_ptr<T>(), *from = x.const_data_ptr<T>(), *w = weight.const_data_ptr<T>();
  T* to = gradients.x.mutable_data_ptr<T>();
  float* chunk_sums = wants_weight ? sums.mutable_data_ptr<float>() : nullptr;
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kChunkRows, here = std::min(kChunkRows, rows - first), at = first * width;
      cpu::rms_norm_backward(g + at, from + at, w, static_cast<float>(eps), here, width, to + at,
                             wants_weight ? chunk_sums + chunk * width : nullptr);
    }
  });
  if (wants_weight) gradients.weight = at::sum(sums, 0).to(weight.scalar_type());
  return gradients;
}

NormGradients norm_gradients(const torch::Tensor& grad, const torch::Tensor& x, const torch::Tensor& weight, double eps,
                             bool wants_weight) {
  if (!has_cpu_kernel(x)) return backward_by_ops(grad, x, weight, eps, wants_weight);
  const auto dense_grad = grad.contiguous(), dense = x.contiguous();
  return x.scalar_type() == torch::kFloat32
             ? backward_by_kernel<float>(dense_grad, dense, weight, eps, wants_weight)
             : backward_by_kernel<c10::BFloat16>(dense_grad, dense, weight, eps, wants_weight);
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const torch::Tensor& weight,
                               double eps) {
    context->save_for_backward({x, weight});
    context->saved_data["eps"] = eps;
    return rms_norm(x, weight, eps);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list kept = context->get_saved_variables();
    const NormGradients gradients =
        norm_gradients(grads[0], kept[0], kept[1], context->saved_data["eps"].toDouble(), context->needs_input_grad(1));
    return {gradients.x, gradients.weight, torch::Tensor()};
  }
};

}  // namespace

torch::Tensor rms_norm_with_gradient(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  return RmsNorm::apply(x, weight, eps);
}

}  // namespace trireme
