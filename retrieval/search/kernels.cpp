#include "retrieval/search/kernels.h"

#include <cmath>
#include <cstring>

// Each public function is compiled for three instruction sets and chosen at start-up; -ffp-contract=off keeps the sums
// in them equal.
#define TRIREME_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#define TRIREME_INLINE inline __attribute__((always_inline))

namespace trireme {
namespace {

constexpr int64_t kLanes = 8;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
constexpr int64_t kWideLanes = 16;
using WideFloats = float __attribute__((vector_size(kWideLanes * sizeof(float))));
using Doubles = double __attribute__((vector_size(kLanes * sizeof(double))));

TRIREME_INLINE void add_products(const float* a, const float* b, Doubles& sum) {
  Floats x, y;
  std::memcpy(&x, a, sizeof x);
  std::memcpy(&y, b, sizeof y);
  sum += __builtin_convertvector(x, Doubles) * __builtin_convertvector(y, Doubles);
}

TRIREME_INLINE double dot(const float* a, const float* b, int64_t dim) {
  Doubles even = {}, odd = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= dim; i += 2 * kLanes) {
    add_products(a + i, b + i, even);
    add_products(a + i + kLanes, b + i + kLanes, odd);
  }
  if (i < dim) {
    float x[2 * kLanes] = {}, y[2 * kLanes] = {};
    std::memcpy(x, a + i, static_cast<std::size_t>(dim - i) * sizeof(float));
    std::memcpy(y, b + i, static_cast<std::size_t>(dim - i) * sizeof(float));
    add_products(x, y, even);
    add_products(x + kLanes, y + kLanes, odd);
  }
  const Doubles sum = even + odd;
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

}  // namespace

TRIREME_CLONES double exact_dot(const float* a, const float* b, int64_t dim) { return dot(a, b, dim); }

TRIREME_CLONES float float_dot(const float* a, const float* b, int64_t dim) {
  WideFloats sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kWideLanes <= dim; i += 4 * kWideLanes)
    for (int64_t part = 0; part < 4; ++part) {
      WideFloats x, y;
      std::memcpy(&x, a + i + part * kWideLanes, sizeof x);
      std::memcpy(&y, b + i + part * kWideLanes, sizeof y);
      sums[part] += x * y;
    }
  const WideFloats sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float total = 0;
  for (int64_t lane = 0; lane < kWideLanes; ++lane) total += sum[lane];
  for (; i < dim; ++i) total += a[i] * b[i];
  return total;
}

TRIREME_CLONES void row_norms(const float* values, int64_t rows, int64_t dim, double* norms) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* const of_row = values + row * dim;
    norms[row] = std::sqrt(dot(of_row, of_row, dim));
  }
}

TRIREME_CLONES bool any_at_least(const float* values, int64_t count, float threshold) {
  int32_t hits = 0;
  for (int64_t i = 0; i < count; ++i) hits += values[i] >= threshold ? 1 : 0;
  return hits > 0;
}

}  // namespace trireme
