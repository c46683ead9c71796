#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace trireme::cpu {

/// Row kernels for the CPU, each for float32 and bfloat16 storage; arithmetic is in float32. Compiled for
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

/// Backward of rms_norm: grad_x from grad (of y), x and the weight; and, unless nullptr, grad_weight [width] in
/// float32, to which the rows' contributions are added. The rounding inside rms_norm counts as none.
void rms_norm_backward(const float* grad, const float* x, const float* weight, float eps, int64_t rows, int64_t width,
                       float* grad_x, float* grad_weight);
void rms_norm_backward(const c10::BFloat16* grad, const c10::BFloat16* x, const c10::BFloat16* weight, float eps,
                       int64_t rows, int64_t width, c10::BFloat16* grad_x, float* grad_weight);

/// Backward of swiglu: grad rows of `width`, gate_up and grad_gate_up rows of 2 * width; grad_gate_up may be gate_up.
void swiglu_backward(const float* grad, const float* gate_up, int64_t rows, int64_t width, float* grad_gate_up);
void swiglu_backward(const c10::BFloat16* grad, const c10::BFloat16* gate_up, int64_t rows, int64_t width,
                     c10::BFloat16* grad_gate_up);

/// Backward of quick_gelu: grad_x from grad and the x that quick_gelu was given; `count` values.
void quick_gelu_backward(const float* grad, const float* x, int64_t count, float* grad_x);
void quick_gelu_backward(const c10::BFloat16* grad, const c10::BFloat16* x, int64_t count, c10::BFloat16* grad_x);

/// One bit per column, 16 to a word: whether the column's random 16-bit number is at least `threshold`. Columns
/// 128 b + 32 k + 16 h + j, for j = 0..15, take half h (0: low) of word k of
///   philox4x32({16 b + j, low word of the row's id, high word, 0}, {low word of key, high word}).
void dropout_mask(const int64_t* row_ids, int64_t rows, int64_t words, uint64_t key, uint32_t threshold,
                  uint16_t* bits);

/// y = x * factor where the row's bits are set, else 0; rows of `width` values and ceil(width / 16) words.
void apply_mask(const float* x, const uint16_t* bits, float factor, int64_t rows, int64_t width, float* y);
void apply_mask(const c10::BFloat16* x, const uint16_t* bits, float factor, int64_t rows, int64_t width,
                c10::BFloat16* y);

}  // namespace trireme::cpu
