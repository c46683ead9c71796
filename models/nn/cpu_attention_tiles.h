#pragma once

#include <algorithm>
#include <cstdint>

#include "models/nn/cpu_attention.h"
#include "models/nn/cpu_tiles.h"
#include "models/nn/cpu_vector.h"

/// The rotary turn and the softmax, as attention's forward and backward passes share them.
namespace trireme::cpu {

/// to[i] = from[i] * factor, in float32.
template <class T>
TRIREME_INLINE void widen(const T* from, int64_t count, float factor, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Floats values;
    load(from + i, values);
    store(values * factor, to + i);
  }
  for (; i < count; ++i) to[i] = static_cast<float>(from[i]) * factor;
}

/// to[i] = from[i], rounded to T.
template <class T>
TRIREME_INLINE void narrow(const float* from, int64_t count, T* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Floats values;
    load(from + i, values);
    store(values, to + i);
  }
  for (; i < count; ++i) to[i] = static_cast<T>(from[i]);
}

/// Pairs (x[i], x[i + dim / 2]) turned by their angles, times `factor`.
template <class T>
TRIREME_INLINE void turn_row(const T* x, const float* cos, const float* sin, int64_t dim, float factor, float* y) {
  const int64_t half = dim / 2;
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    Floats low, high, c, s;
    load(x + i, low), load(x + half + i, high);
    load(cos + i, c), load(sin + i, s);
    store((low * c - high * s) * factor, y + i);
    store((high * c + low * s) * factor, y + half + i);
  }
  for (; i < half; ++i) {
    const float low = static_cast<float>(x[i]), high = static_cast<float>(x[i + half]);
    y[i] = (low * cos[i] - high * sin[i]) * factor;
    y[i + half] = (high * cos[i] + low * sin[i]) * factor;
  }
}

template <class T>
TRIREME_INLINE void turn_token(const AttentionCall<T>& call, const T* x, int64_t token, float factor, float* y) {
  if (call.cos == nullptr) return widen(x, call.dim, factor, y);
  const int64_t angles = token * (call.dim / 2);
  turn_row(x, call.cos + angles, call.sin + angles, call.dim, factor, y);
}

/// The turn's transpose, which is the turn back: where y = turn(x), dL/dx from dL/dy.
template <class T>
TRIREME_INLINE void turn_token_back(const AttentionCall<T>& call, const float* y, int64_t token, float factor, T* x) {
  const int64_t half = call.dim / 2;
  const float *cos = call.cos + token * half, *sin = call.sin + token * half;
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    Floats low, high, c, s;
    load(y + i, low), load(y + half + i, high);
    load(cos + i, c), load(sin + i, s);
    store((low * c + high * s) * factor, x + i);
    store((high * c - low * s) * factor, x + half + i);
  }
  for (; i < half; ++i) {
    x[i] = static_cast<T>((y[i] * cos[i] + y[i + half] * sin[i]) * factor);
    x[i + half] = static_cast<T>((y[i + half] * cos[i] - y[i] * sin[i]) * factor);
  }
}

/// The first `count` scores to e^(score - largest), the rest up to `width` to zero; returns 1 / their sum.
TRIREME_INLINE float exponentiate_row(float* scores, int64_t count, int64_t width) {
  const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const int64_t whole = count / kLanes * kLanes;
  const Ints in_tail = lane < static_cast<int32_t>(count - whole);
  Floats values, largest = Floats{} + scores[0];
  for (int64_t j = 0; j < whole; j += kLanes) {
    load(scores + j, values);
    largest = values > largest ? values : largest;
  }
  if (whole < count) {
    load(scores + whole, values);
    largest = in_tail & (values > largest) ? values : largest;
  }
  const float top = largest_lane(largest);
  Floats sums{};
  for (int64_t j = 0; j < whole; j += kLanes) {
    load(scores + j, values);
    values -= top;
    exponential(values);
    sums += values;
    store(values, scores + j);
  }
  if (whole < count) {
    load(scores + whole, values);
    values -= top;
    exponential(values);
    values = in_tail ? values : Floats{};
    sums += values;
    store(values, scores + whole);
  }
  const Floats zeros{};
  for (int64_t j = round_up(count, kLanes); j < width; j += kLanes) store(zeros, scores + j);
  return 1.0f / sum_of_lanes(sums);
}

}  // namespace trireme::cpu
