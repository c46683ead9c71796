#pragma once

#include "core/tensor.h"

namespace trireme {

/// Whether autograd would record an operation on these tensors; undefined ones do not count. Where it would not,
/// kernels without a backward and writes in place are safe.
template <class... Tensors>
bool records_gradient(const Tensors&... tensors) {
  return at::GradMode::is_enabled() && ((tensors.defined() && tensors.requires_grad()) || ...);
}

/// Whether the row kernels of cpu_kernels.h take this tensor.
inline bool has_cpu_kernel(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

}  // namespace trireme
