#include "models/nn/cpu_kernels.h"

#include <cmath>
#include <cstring>

// GCC builds each function below once per instruction set and picks at load time, so no -march flag is needed and the
// program runs on any x86-64. The bodies are templates forced inline into them: a called function would keep the
// baseline.
#if defined(__x86_64__)
#define TRIREME_FOR_EACH_ISA __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define TRIREME_FOR_EACH_ISA
#endif
#define TRIREME_INLINE inline __attribute__((always_inline))

namespace trireme::cpu {
namespace {

constexpr int64_t kLanes = 16;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Ints = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));
using UInts = uint32_t __attribute__((vector_size(kLanes * sizeof(uint32_t))));
using UShorts = uint16_t __attribute__((vector_size(kLanes * sizeof(uint16_t))));

TRIREME_INLINE void load(const float* from, Floats& to) { std::memcpy(&to, from, sizeof(Floats)); }
TRIREME_INLINE void store(const Floats& from, float* to) { std::memcpy(to, &from, sizeof(Floats)); }

TRIREME_INLINE void load(const c10::BFloat16* from, Floats& to) {
  UShorts half;
  std::memcpy(&half, from, sizeof(UShorts));
  const UInts bits = __builtin_convertvector(half, UInts) << 16;
  std::memcpy(&to, &bits, sizeof(Floats));
}

/// Rounds to nearest, ties to even; NaN stays NaN.
TRIREME_INLINE void store(const Floats& from, c10::BFloat16* to) {
  UInts bits;
  std::memcpy(&bits, &from, sizeof(UInts));
  const UInts rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const UShorts half = __builtin_convertvector(from == from ? rounded : (UInts{} + 0x7FC0u), UShorts);
  std::memcpy(to, &half, sizeof(UShorts));
}

TRIREME_INLINE void round_to(const float*, Floats&) {}
TRIREME_INLINE void round_to(const c10::BFloat16*, Floats& values) {
  c10::BFloat16 rounded[kLanes];
  store(values, rounded);
  load(rounded, values);
}

/// Loads `count` < kLanes values, the rest zero.
template <class T>
TRIREME_INLINE void load_tail(const T* from, int64_t count, Floats& to) {
  T padded[kLanes] = {};
  std::memcpy(padded, from, count * sizeof(T));
  load(padded, to);
}
template <class T>
TRIREME_INLINE void store_tail(const Floats& from, int64_t count, T* to) {
  T padded[kLanes];
  store(from, padded);
  std::memcpy(to, padded, count * sizeof(T));
}

/// e^x to 2 units in the last place. x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7.
/// Below e^-87 the result is e^-87, above e^88 e^88; NaN stays NaN.
TRIREME_INLINE void exponential(Floats& x) {
  constexpr float kLog2E = 1.44269504089f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < -87.0f ? Floats{} - 87.0f : x;
  x = x > 88.0f ? Floats{} + 88.0f : x;
  const Floats shifted = x * kLog2E + kRounder;
  const Floats n = shifted - kRounder;
  const Floats r = x - n * kLn2High - n * kLn2Low;
  Floats p = r * (1.0f / 5040.0f) + (1.0f / 720.0f);
  p = p * r + (1.0f / 120.0f);
  p = p * r + (1.0f / 24.0f);
  p = p * r + (1.0f / 6.0f);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  Ints exponent;
  std::memcpy(&exponent, &shifted, sizeof(Ints));
  exponent = (exponent << 23) + (127 << 23);
  Floats power;
  std::memcpy(&power, &exponent, sizeof(Floats));
  x = p * power;
}

/// x * sigmoid(slope * x)
TRIREME_INLINE void times_sigmoid(Floats& x, float slope) {
  Floats e = x * -slope;
  exponential(e);
  x = x / (e + 1.0f);
}

template <class T>
TRIREME_INLINE void rms_norm_rows(const T* x, const T* weight, float eps, int64_t rows, int64_t width, T* y) {
  const int64_t whole = width / kLanes * kLanes, tail = width - whole;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    Floats sums{}, values, weights;
    for (int64_t j = 0; j < whole; j += kLanes) {
      load(x + j, values);
      sums += values * values;
    }
    if (tail != 0) {
      load_tail(x + whole, tail, values);
      sums += values * values;
    }
    for (int64_t half = kLanes / 2; half > 0; half /= 2) {
      for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    }
    const float scale = 1.0f / std::sqrt(sums[0] / static_cast<float>(width) + eps);
    for (int64_t j = 0; j < whole; j += kLanes) {
      load(x + j, values);
      load(weight + j, weights);
      values *= scale;
      round_to(x, values);
      store(values * weights, y + j);
    }
    if (tail != 0) {
      load_tail(x + whole, tail, values);
      load_tail(weight + whole, tail, weights);
      values *= scale;
      round_to(x, values);
      store_tail(values * weights, tail, y + whole);
    }
  }
}

template <class T>
TRIREME_INLINE void swiglu_rows(const T* gate_up, int64_t rows, int64_t width, T* y, int64_t y_stride) {
  const int64_t whole = width / kLanes * kLanes, tail = width - whole;
  for (int64_t row = 0; row < rows; ++row, gate_up += 2 * width, y += y_stride) {
    Floats gate, up;
    for (int64_t j = 0; j < whole; j += kLanes) {
      load(gate_up + j, gate);
      load(gate_up + width + j, up);
      times_sigmoid(gate, 1.0f);
      store(gate * up, y + j);
    }
    if (tail != 0) {
      load_tail(gate_up + whole, tail, gate);
      load_tail(gate_up + width + whole, tail, up);
      times_sigmoid(gate, 1.0f);
      store_tail(gate * up, tail, y + whole);
    }
  }
}

template <class T>
TRIREME_INLINE void quick_gelu_values(T* x, int64_t count) {
  constexpr float kSlope = 1.702f;
  const int64_t whole = count / kLanes * kLanes, tail = count - whole;
  Floats values;
  for (int64_t j = 0; j < whole; j += kLanes) {
    load(x + j, values);
    times_sigmoid(values, kSlope);
    store(values, x + j);
  }
  if (tail != 0) {
    load_tail(x + whole, tail, values);
    times_sigmoid(values, kSlope);
    store_tail(values, tail, x + whole);
  }
}

template <class T>
TRIREME_INLINE void rotate_rows(const T* x, int64_t stride, const float* cos, const float* sin, int64_t rows,
                                int64_t heads, int64_t half, T* y, int64_t y_stride) {
  const int64_t whole = half / kLanes * kLanes, tail = half - whole;
  Floats low, high, c, s;
  for (int64_t row = 0; row < rows; ++row, x += stride, y += y_stride, cos += half, sin += half) {
    for (int64_t head = 0; head < heads; ++head) {
      const T *x_low = x + 2 * half * head, *x_high = x_low + half;
      T *y_low = y + 2 * half * head, *y_high = y_low + half;
      for (int64_t j = 0; j < whole; j += kLanes) {
        load(x_low + j, low);
        load(x_high + j, high);
        load(cos + j, c);
        load(sin + j, s);
        store(low * c - high * s, y_low + j);
        store(high * c + low * s, y_high + j);
      }
      if (tail != 0) {
        load_tail(x_low + whole, tail, low);
        load_tail(x_high + whole, tail, high);
        load_tail(cos + whole, tail, c);
        load_tail(sin + whole, tail, s);
        store_tail(low * c - high * s, tail, y_low + whole);
        store_tail(high * c + low * s, tail, y_high + whole);
      }
    }
  }
}

}  // namespace

TRIREME_FOR_EACH_ISA void rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t width,
                                   float* y) {
  rms_norm_rows(x, weight, eps, rows, width, y);
}
TRIREME_FOR_EACH_ISA void rms_norm(const c10::BFloat16* x, const c10::BFloat16* weight, float eps, int64_t rows,
                                   int64_t width, c10::BFloat16* y) {
  rms_norm_rows(x, weight, eps, rows, width, y);
}
TRIREME_FOR_EACH_ISA void swiglu(const float* gate_up, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  swiglu_rows(gate_up, rows, width, y, y_stride);
}
TRIREME_FOR_EACH_ISA void swiglu(const c10::BFloat16* gate_up, int64_t rows, int64_t width, c10::BFloat16* y,
                                 int64_t y_stride) {
  swiglu_rows(gate_up, rows, width, y, y_stride);
}
TRIREME_FOR_EACH_ISA void quick_gelu(float* x, int64_t count) { quick_gelu_values(x, count); }
TRIREME_FOR_EACH_ISA void quick_gelu(c10::BFloat16* x, int64_t count) { quick_gelu_values(x, count); }
TRIREME_FOR_EACH_ISA void rotate(const float* x, int64_t stride, const float* cos, const float* sin, int64_t rows,
                                 int64_t heads, int64_t half, float* y, int64_t y_stride) {
  rotate_rows(x, stride, cos, sin, rows, heads, half, y, y_stride);
}
TRIREME_FOR_EACH_ISA void rotate(const c10::BFloat16* x, int64_t stride, const float* cos, const float* sin,
                                 int64_t rows, int64_t heads, int64_t half, c10::BFloat16* y, int64_t y_stride) {
  rotate_rows(x, stride, cos, sin, rows, heads, half, y, y_stride);
}

}  // namespace trireme::cpu
