#pragma once

#include <cstdint>

namespace trireme {

/// a.b in float64: 16 partial sums of every 16th product, then added in pairs. A product of two float32 is exact in
/// float64, so the bits are the same on every processor and for every instruction set.
double exact_dot(const float* a, const float* b, int64_t dim);

/// a.b in float32, in an order of its own: for candidates, not for scores.
float float_dot(const float* a, const float* b, int64_t dim);

/// sqrt of exact_dot(row, row) of each of `rows` rows of `dim` values; not finite where a value is not.
void row_norms(const float* values, int64_t rows, int64_t dim, double* norms);

/// Whether any of the `count` values is at least `threshold`.
bool any_at_least(const float* values, int64_t count, float threshold);

}  // namespace trireme
