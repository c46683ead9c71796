#pragma once

#include <algorithm>
#include <cstdint>

#include "models/nn/cpu_attention.h"
#include "models/nn/cpu_tiles.h"
#include "models/nn/cpu_vector.h"

/// The rotary turn and the softmax, as attention's forward and backward passes share them.
namespace trireme::cpu {

template <class T>
TRIREME_INLINE void turn_row(const T* x, const float* cos, const float* sin, int64_t dim, float factor, float* y) {
  if (cos == nullptr) {
    for (int64_t i = 0; i < dim; ++i) y[i] = static_cast<float>(x[i]) * factor;
    return;
  }
  const int64_t half = dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float low = static_cast<float>(x[i]), high = static_cast<float>(x[i + half]);
    y[i] = (low * cos[i] - high * sin[i]) * factor;
    y[i + half] = (high * cos[i] + low * sin[i]) * factor;
  }
}

template <class T>
TRIREME_INLINE void turn_token(const AttentionCall<T>& call, const T* x, int64_t token, float factor, float* y) {
  const int64_t half = call.dim / 2;
  const bool turned = call.cos != nullptr;
  turn_row(x, turned ? call.cos + token * half : nullptr, turned ? call.sin + token * half : nullptr, call.dim, factor,
           y);
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
