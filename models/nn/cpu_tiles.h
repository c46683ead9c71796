#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#include "models/nn/cpu_attention.h"
#include "models/nn/cpu_vector.h"

/// Products of a few rows at a time, and attention's softmax: what the kernels
/// for AVX-512 share.
namespace trireme::cpu {

constexpr int64_t kTileRows = 6;     // queries whose sums are in registers at once:
                                     // 6 x 4 of the 32 registers,
constexpr int64_t kTileVectors = 4;  // 4 more for the keys or values of a step
constexpr int64_t kTileColumns = kTileVectors * kLanes;

inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/// Cache-line aligned floats.
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : data_(static_cast<float*>(std::aligned_alloc(64, round_up(count * sizeof(float), 64)))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float, Free> data_;
};

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

/// scores[r, 0..16 kVectors) = q[r] . keys[:, 0..16 kVectors)
template <int64_t kVectors>
TRIREME_INLINE void score_tile(const float* q, int64_t width, const float* keys, int64_t dim, int64_t columns,
                               float* scores) {
  Floats sums[kTileRows][kVectors] = {};
  for (int64_t component = 0; component < dim; ++component, keys += columns) {
    Floats key[kVectors];
    for (int64_t c = 0; c < kVectors; ++c) load(keys + c * kLanes, key[c]);
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float query = q[r * width + component];
      for (int64_t c = 0; c < kVectors; ++c) sums[r][c] += query * key[c];
    }
  }
  for (int64_t r = 0; r < kTileRows; ++r) {
    for (int64_t c = 0; c < kVectors; ++c) store(sums[r][c], scores + r * columns + c * kLanes);
  }
}

/// scores[r, j] = q[r] . keys[:, j], j below `count`, for the tile's rows. q
/// rows `width` apart, keys [dim, columns].
TRIREME_INLINE void score_rows(const float* q, int64_t width, const float* keys, int64_t dim, int64_t columns,
                               int64_t count, float* scores) {
  int64_t at = 0;
  for (; count - at > kTileColumns - kLanes; at += kTileColumns) {
    score_tile<kTileVectors>(q, width, keys + at, dim, columns, scores + at);
  }
  switch ((count - at + kLanes - 1) / kLanes) {
    case 1:
      score_tile<1>(q, width, keys + at, dim, columns, scores + at);
      break;
    case 2:
      score_tile<2>(q, width, keys + at, dim, columns, scores + at);
      break;
    case 3:
      score_tile<3>(q, width, keys + at, dim, columns, scores + at);
      break;
    default:
      break;
  }
}

/// The first `count` scores to e^(score - largest), the rest up to `width` to
/// zero; returns 1 / their sum.
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

/// sums[r] = sum over `count` keys of weight[r, j] * values[j], `kVectors`
/// vectors of columns.
template <int64_t kVectors, class Write>
TRIREME_INLINE void value_tile(const float* weights, const float* values, int64_t count, int64_t columns, int64_t width,
                               const Write& write) {
  Floats sums[kTileRows][kVectors] = {};
  for (int64_t j = 0; j < count; ++j, values += width) {
    Floats value[kVectors];
    for (int64_t c = 0; c < kVectors; ++c) load(values + c * kLanes, value[c]);
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float weight = weights[r * columns + j];
      for (int64_t c = 0; c < kVectors; ++c) sums[r][c] += weight * value[c];
    }
  }
  for (int64_t r = 0; r < kTileRows; ++r) {
    for (int64_t c = 0; c < kVectors; ++c) write(r, c, sums[r][c]);
  }
}

/// sums[j] += sum over the tile's rows of factor[r, j] * rows[r], `kVectors`
/// vectors of columns.
template <int64_t kVectors>
TRIREME_INLINE void add_outer_tile(const float* factors, int64_t columns, const float* rows, int64_t width,
                                   int64_t count, float* sums) {
  Floats row[kTileRows][kVectors];
  for (int64_t r = 0; r < kTileRows; ++r) {
    for (int64_t c = 0; c < kVectors; ++c) load(rows + r * width + c * kLanes, row[r][c]);
  }
  for (int64_t j = 0; j < count; ++j, sums += width) {
    Floats sum[kVectors];
    for (int64_t c = 0; c < kVectors; ++c) load(sums + c * kLanes, sum[c]);
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float factor = factors[r * columns + j];
      for (int64_t c = 0; c < kVectors; ++c) sum[c] += factor * row[r][c];
    }
    for (int64_t c = 0; c < kVectors; ++c) store(sum[c], sums + c * kLanes);
  }
}

/// tile(vectors, first column) over all columns of a row, four vectors at a
/// time and then the rest.
template <class Tile>
TRIREME_INLINE void for_each_tile(int64_t width, const Tile& tile) {
  int64_t column = 0;
  for (; width - column >= kTileColumns; column += kTileColumns) tile(std::integral_constant<int64_t, 4>{}, column);
  switch ((width - column) / kLanes) {
    case 1:
      tile(std::integral_constant<int64_t, 1>{}, column);
      break;
    case 2:
      tile(std::integral_constant<int64_t, 2>{}, column);
      break;
    case 3:
      tile(std::integral_constant<int64_t, 3>{}, column);
      break;
    default:
      break;
  }
}

TRIREME_INLINE void add_outer(const float* factors, int64_t columns, const float* rows, int64_t width, int64_t count,
                              float* sums) {
  for_each_tile(
      width, [&](auto vectors, int64_t column) __attribute__((always_inline)) {
        add_outer_tile<vectors.value>(factors, columns, rows + column, width, count, sums + column);
      });
}

}  // namespace trireme::cpu
