#include "models/nn/activation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include "core/parallel.h"
#include "models/nn/cpu_kernels.h"
#include "models/nn/grad_mode.h"
#include "models/nn/gradients.h"

namespace trireme {
namespace {

constexpr int64_t kValuesPerThread = 1 << 14;

template <class T>
void swiglu_into(torch::Tensor& y, const torch::Tensor& gate_up) {
  const int64_t width = y.size(1);
  const T* from = gate_up.const_data_ptr<T>();
  T* to = y.mutable_data_ptr<T>();
  parallel_for(y.size(0), kValuesPerThread / width + 1, [&](int64_t begin, int64_t end) {
    cpu::swiglu(from + begin * 2 * width, end - begin, width, to + begin * y.stride(0), y.stride(0));
  });
}

template <class T>
void quick_gelu_in_place(torch::Tensor& x) {
  T* values = x.mutable_data_ptr<T>();
  parallel_for(x.numel(), kValuesPerThread,
               [&](int64_t begin, int64_t end) { cpu::quick_gelu(values + begin, end - begin); });
}

}  // namespace

torch::Tensor swiglu(torch::Tensor gate_up) {
  if (records_gradient(gate_up)) return swiglu_with_gradient(gate_up);
  const int64_t width = gate_up.size(1) / 2;
  if (!has_cpu_kernel(gate_up) || !gate_up.is_contiguous()) {
    return at::silu(gate_up.narrow(1, 0, width)) * gate_up.narrow(1, width, width);
  }
  auto y = at::empty({gate_up.size(0), width}, gate_up.options());
  if (gate_up.scalar_type() == torch::kFloat32) {
    swiglu_into<float>(y, gate_up);
  } else {
    swiglu_into<c10::BFloat16>(y, gate_up);
  }
  return y;
}

torch::Tensor quick_gelu(torch::Tensor x) {
  if (records_gradient(x)) return quick_gelu_with_gradient(x);
  if (!has_cpu_kernel(x) || !x.is_contiguous()) return x * at::sigmoid(1.702 * x);
  if (x.scalar_type() == torch::kFloat32) {
    quick_gelu_in_place<float>(x);
  } else {
    quick_gelu_in_place<c10::BFloat16>(x);
  }
  return x;
}

}  // namespace trireme
