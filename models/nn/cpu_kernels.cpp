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

/// Of the row: 1 / sqrt(mean(x^2) + eps).
template <class T>
TRIREME_INLINE float rms_norm_scale(const T* x, float eps, int64_t width) {
  const int64_t whole = width / kLanes * kLanes, tail = width - whole;
  Floats sums{}, values;
  for (int64_t j = 0; j < whole; j += kLanes) {
    load(x + j, values);
    sums += values * values;
  }
  if (tail != 0) {
    load_tail(x + whole, tail, values);
    sums += values * values;
  }
  return 1.0f / std::sqrt(sum_of_lanes(sums) / static_cast<float>(width) + eps);
}

/// body(at, count): the row's columns [at, at + count), 16 at a time and then the rest.
template <class Body>
TRIREME_INLINE void for_each_vector(int64_t width, const Body& body) {
  int64_t at = 0;
  for (; at + kLanes <= width; at += kLanes) body(at, kLanes);
  if (at < width) body(at, width - at);
}

template <class T>
TRIREME_INLINE void load_some(const T* from, int64_t count, Floats& to) {
  if (count == kLanes) {
    load(from, to);
  } else {
    load_tail(from, count, to);
  }
}
template <class T>
TRIREME_INLINE void store_some(const Floats& from, int64_t count, T* to) {
  if (count == kLanes) {
    store(from, to);
  } else {
    store_tail(from, count, to);
  }
}

/// y = w x s with s = (mean(x^2) + eps)^(-1/2), so grad_x = s (w g) - x s^3 mean(w g x), and grad_w = sum of g x s.
template <class T>
TRIREME_INLINE void rms_norm_backward_rows(const T* grad, const T* x, const T* weight, float eps, int64_t rows,
                                           int64_t width, T* grad_x, float* grad_weight) {
  for (int64_t row = 0; row < rows; ++row, grad += width, x += width, grad_x += width) {
    const float scale = rms_norm_scale(x, eps, width);
    Floats sums{};
    for_each_vector(
        width, [&](int64_t at, int64_t count) __attribute__((always_inline)) {
          Floats g, values, weights;
          load_some(grad + at, count, g);
          load_some(x + at, count, values);
          load_some(weight + at, count, weights);
          sums += g * weights * values;
          if (grad_weight == nullptr) return;
          Floats total;
          load_some(grad_weight + at, count, total);
          store_some(total + g * values * scale, count, grad_weight + at);
        });
    const float slope = sum_of_lanes(sums) / static_cast<float>(width) * scale * scale * scale;
    for_each_vector(
        width, [&](int64_t at, int64_t count) __attribute__((always_inline)) {
          Floats g, values, weights;
          load_some(grad + at, count, g);
          load_some(x + at, count, values);
          load_some(weight + at, count, weights);
          store_some(g * weights * scale - values * slope, count, grad_x + at);
        });
  }
}

TRIREME_INLINE void sigmoid(const Floats& x, float slope, Floats& y) {
  y = x * -slope;
  exponential(y);
  y = 1.0f / (y + 1.0f);
}

template <class T>
TRIREME_INLINE void swiglu_backward_rows(const T* grad, const T* gate_up, int64_t rows, int64_t width,
                                         T* grad_gate_up) {
  for (int64_t row = 0; row < rows; ++row, grad += width, gate_up += 2 * width, grad_gate_up += 2 * width) {
    for_each_vector(
        width, [&](int64_t at, int64_t count) __attribute__((always_inline)) {
          Floats g, gate, up, sig;
          load_some(grad + at, count, g);
          load_some(gate_up + at, count, gate);
          load_some(gate_up + width + at, count, up);
          sigmoid(gate, 1.0f, sig);
          const Floats silu = gate * sig;
          store_some(g * up * (sig + silu * (1.0f - sig)), count, grad_gate_up + at);
          store_some(g * silu, count, grad_gate_up + width + at);
        });
  }
}

template <class T>
TRIREME_INLINE void quick_gelu_backward_values(const T* grad, const T* x, int64_t count, T* grad_x) {
  constexpr float kSlope = 1.702f;
  for_each_vector(
      count, [&](int64_t at, int64_t here) __attribute__((always_inline)) {
        Floats g, values, sig;
        load_some(grad + at, here, g);
        load_some(x + at, here, values);
        sigmoid(values, kSlope, sig);
        store_some(g * (sig + values * sig * (1.0f - sig) * kSlope), here, grad_x + at);
      });
}

constexpr Ints kLaneNumbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

TRIREME_INLINE void multiply(const UInts& a, uint32_t factor, UInts& high, UInts& low) {
  using ULongs = uint64_t __attribute__((vector_size(kLanes * sizeof(uint64_t))));
  const ULongs wide = __builtin_convertvector(a, ULongs) * static_cast<uint64_t>(factor);
  high = __builtin_convertvector(wide >> 32, UInts);
  low = a * factor;
}

/// core/rng.h's philox4x32, 16 counters at once.
TRIREME_INLINE void philox(UInts (&counter)[4], uint64_t key) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u, kStep0 = 0x9E3779B9u, kStep1 = 0xBB67AE85u;
  auto key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, key0 += kStep0, key1 += kStep1) {
    UInts high0, low0, high1, low1;
    multiply(counter[0], kMultiplier0, high0, low0);
    multiply(counter[2], kMultiplier1, high1, low1);
    counter[0] = high1 ^ counter[1] ^ key0;
    counter[1] = low1;
    counter[2] = high0 ^ counter[3] ^ key1;
    counter[3] = low0;
  }
}

/// Bit j: lane j of `set` is not zero.
TRIREME_INLINE uint16_t bits_of_lanes(const Ints& set) {
  Ints bits = set & (Ints{} + 1) << kLaneNumbers, others;
#pragma GCC unroll 4
  for (int step = 8; step > 0; step /= 2) {
    others = __builtin_shuffle(bits, kLaneNumbers ^ step);
    bits |= others;
  }
  return static_cast<uint16_t>(bits[0]);
}

TRIREME_INLINE void dropout_mask_rows(const int64_t* row_ids, int64_t rows, int64_t words, uint64_t key,
                                      uint32_t threshold, uint16_t* bits) {
  constexpr int64_t kWordsPerBlock = 8;
  for (int64_t row = 0; row < rows; ++row, bits += words) {
    const auto id = static_cast<uint64_t>(row_ids[row]);
    for (int64_t first = 0; first < words; first += kWordsPerBlock) {
      UInts numbers[4] = {};
      numbers[0] = (UInts)kLaneNumbers + static_cast<uint32_t>(first / kWordsPerBlock * kLanes);
      numbers[1] += static_cast<uint32_t>(id);
      numbers[2] += static_cast<uint32_t>(id >> 32);
      philox(numbers, key);
      const int64_t here = words - first < kWordsPerBlock ? words - first : kWordsPerBlock;
      for (int64_t word = 0; word < here; ++word) {
        const UInts drawn = word % 2 == 0 ? numbers[word / 2] & 0xFFFFu : numbers[word / 2] >> 16;
        bits[first + word] = bits_of_lanes((Ints)drawn >= static_cast<int32_t>(threshold));
      }
    }
  }
}

template <class T>
TRIREME_INLINE void apply_mask_rows(const T* x, const uint16_t* bits, float factor, int64_t rows, int64_t width, T* y) {
  const Ints lane_bit = (Ints{} + 1) << kLaneNumbers;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    for_each_vector(
        width, [&](int64_t at, int64_t count) __attribute__((always_inline)) {
          Floats values;
          load_some(x + at, count, values);
          const Ints kept = ((Ints{} + static_cast<int32_t>(*bits++)) & lane_bit) != 0;
          values = kept ? values * factor : Floats{};
          store_some(values, count, y + at);
        });
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

TRIREME_FOR_EACH_ISA void rms_norm_backward(const float* grad, const float* x, const float* weight, float eps,
                                            int64_t rows, int64_t width, float* grad_x, float* grad_weight) {
  rms_norm_backward_rows(grad, x, weight, eps, rows, width, grad_x, grad_weight);
}
TRIREME_FOR_EACH_ISA void rms_norm_backward(const c10::BFloat16* grad, const c10::BFloat16* x,
                                            const c10::BFloat16* weight, float eps, int64_t rows, int64_t width,
                                            c10::BFloat16* grad_x, float* grad_weight) {
  rms_norm_backward_rows(grad, x, weight, eps, rows, width, grad_x, grad_weight);
}
TRIREME_FOR_EACH_ISA void swiglu_backward(const float* grad, const float* gate_up, int64_t rows, int64_t width,
                                          float* grad_gate_up) {
  swiglu_backward_rows(grad, gate_up, rows, width, grad_gate_up);
}
TRIREME_FOR_EACH_ISA void swiglu_backward(const c10::BFloat16* grad, const c10::BFloat16* gate_up, int64_t rows,
                                          int64_t width, c10::BFloat16* grad_gate_up) {
  swiglu_backward_rows(grad, gate_up, rows, width, grad_gate_up);
}
TRIREME_FOR_EACH_ISA void quick_gelu_backward(const float* grad, const float* x, int64_t count, float* grad_x) {
  quick_gelu_backward_values(grad, x, count, grad_x);
}
TRIREME_FOR_EACH_ISA void quick_gelu_backward(const c10::BFloat16* grad, const c10::BFloat16* x, int64_t count,
                                              c10::BFloat16* grad_x) {
  quick_gelu_backward_values(grad, x, count, grad_x);
}
TRIREME_FOR_EACH_ISA void dropout_mask(const int64_t* row_ids, int64_t rows, int64_t words, uint64_t key,
                                       uint32_t threshold, uint16_t* bits) {
  dropout_mask_rows(row_ids, rows, words, key, threshold, bits);
}
TRIREME_FOR_EACH_ISA void apply_mask(const float* x, const uint16_t* bits, float factor, int64_t rows, int64_t width,
                                     float* y) {
  apply_mask_rows(x, bits, factor, rows, width, y);
}
TRIREME_FOR_EACH_ISA void apply_mask(const c10::BFloat16* x, const uint16_t* bits, float factor, int64_t rows,
                                     int64_t width, c10::BFloat16* y) {
  apply_mask_rows(x, bits, factor, rows, width, y);
}

}  // namespace trireme::cpu
