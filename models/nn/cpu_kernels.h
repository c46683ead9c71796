#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace trireme::cpu {

/// Row kernels for inference on the CPU, each for float32 and bfloat16 storage; arithmetic is in float32. Compiled for
/// three instruction sets and chosen at load time; all give the same bits. Rows are independent of each other, and the
/// order of every sum is fixed by the row's width alone. Serial: callers split rows over threads.

/// y = (x / sqrt(mean(x^2) + eps) rounded to T) * weight, `rows` rows of `width`; y may be x.
void rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t width, float* y);
void rms_norm(const c10::BFloat16* x, const c10::BFloat16* weight, float eps, int64_t rows, int64_t width,
              c10::BFloat16* y);

/// y[r, j] = silu(gate_up[r, j]) * gate_up[r, width + j]; gate_up rows of 2 * width, y rows of `y_stride`. y may be
/// gate_up's first half.
void swiglu(const float* gate_up, int64_t rows, int64_t width, float* y, int64_t y_stride);
void swiglu(const c10::BFloat16* gate_up, int64_t rows, int64_t width, c10::BFloat16* y, int64_t y_stride);

/// x *= sigmoid(1.702 x), `count` values.
void quick_gelu(float* x, int64_t count);
void quick_gelu(c10::BFloat16* x, int64_t count);

}  // namespace trireme::cpu
