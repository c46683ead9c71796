#pragma once

#include <cstdint>
#include <type_traits>

#include "models/nn/cpu_buffer.h"
#include "models/nn/cpu_vector.h"

/// Products of a few rows at a time: what the kernels for AVX-512 share.
namespace trireme::cpu {

constexpr int64_t kTileRows = 6;     // rows whose sums are in registers at once: 6 x 4 of the 32 registers,
constexpr int64_t kTileVectors = 4;  // 4 more for the keys or values of a step
constexpr int64_t kTileColumns = kTileVectors * kLanes;

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

/// scores[r, j] = q[r] . keys[:, j], j below `count`, for the tile's rows. q rows `width` apart, keys [dim, columns].
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

/// sums[r] = sum over `count` keys of weight[r, j] * values[j], `kVectors` vectors of columns.
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

/// sums[j] += sum over the tile's rows of factor[r, j] * rows[r], `kVectors` vectors of columns.
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

/// tile(vectors, first column) over all columns of a row, four vectors at a time and then the rest.
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
