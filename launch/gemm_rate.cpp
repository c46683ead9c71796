#include "launch/gemm_rate.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

namespace trireme {

GemmRate measure_gemm(c10::ScalarType dtype) {
  constexpr int64_t kSize = 1024;
  constexpr int kRepeats = 8;
  const auto a64 = at::randn({kSize, kSize}, torch::kFloat64), b64 = at::randn({kSize, kSize}, torch::kFloat64);
  const auto a = a64.to(dtype), b = b64.to(dtype);
  const auto exact = at::mm(a.to(torch::kFloat64), b.to(torch::kFloat64));
  const double error = ((at::mm(a, b).to(torch::kFloat64) - exact).abs().max() / exact.abs().max()).item<double>();
  double best_s = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    at::mm(a, b);
    best_s = std::min(best_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return {2.0 * kSize * kSize * kSize / best_s, error};
}

}  // namespace trireme
