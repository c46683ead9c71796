#include "models/nn/cpu_kernels.h"

#include <cmath>

#include "models/nn/cpu_vector.h"

// GCC builds each function below once per instruction set and picks at load time, so no -march flag is needed and the
// program runs on any x86-64. The bodies are templates forced inline into them: a called function would keep the
// baseline.
#if defined(__x86_64__)
#define TRIREME_FOR_EACH_ISA __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define TRIREME_FOR_EACH_ISA
#endif

namespace trireme::cpu {
namespace {

TRIREME_INLINE void round_to(const float*, Floats&) {}
TRIREME_INLINE void round_to(const c10::BFloat16*, Floats& values) {
  c10::BFloat16 rounded[kLanes];
  store(values, rounded);
  load(rounded, values);
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
    const float scale = 1.0f / std::sqrt(sum_of_lanes(sums) / static_cast<float>(width) + eps);
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

}  // namespace trireme::cpu
