#include "models/nn/norm.h"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include "core/parallel.h"
#include "models/nn/cpu_kernels.h"
#include "models/nn/grad_mode.h"
#include "models/nn/gradients.h"

namespace trireme {
namespace {

constexpr int64_t kValuesPerThread = 1 << 15;  // below this a second thread costs more than it saves

torch::Tensor rms_norm_ops(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  const auto wide = x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
  const auto scale = at::rsqrt(at::mean(wide * wide, -1, true) + eps);
  return weight * (wide * scale).to(x.scalar_type());
}

template <class T>
void rms_norm_into(torch::Tensor& y, const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  const int64_t width = x.size(-1);
  const T *from = x.const_data_ptr<T>(), *w = weight.const_data_ptr<T>();
  T* to = y.mutable_data_ptr<T>();
  parallel_for(x.numel() / width, kValuesPerThread / width + 1, [&](int64_t begin, int64_t end) {
    cpu::rms_norm(from + begin * width, w, static_cast<float>(eps), end - begin, width, to + begin * width);
  });
}

}  // namespace

torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  if (records_gradient(x, weight)) return rms_norm_with_gradient(x, weight, eps);
  if (!has_cpu_kernel(x)) return rms_norm_ops(x, weight, eps);
  const auto dense = x.contiguous();
  auto y = at::empty_like(dense);
  if (x.scalar_type() == torch::kFloat32) {
    rms_norm_into<float>(y, dense, weight, eps);
  } else {
    rms_norm_into<c10::BFloat16>(y, dense, weight, eps);
  }
  return y;
}

torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias, double eps) {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, eps);
}

}  // namespace trireme
