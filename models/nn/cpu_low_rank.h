#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace trireme::cpu {

/// One LoRA term, scale * B (A x), with rows of x partly left out: on a CPU with AVX-512. One pass over the rows, which
/// are converted, masked and multiplied in cache, so that neither masked nor widened copies are made.
struct LowRankTerm {
  const float* a;  ///< [rank, in]
  const float* b;  ///< [out, rank]
  int64_t rank, in, out;
  float scale;
  const uint16_t* mask;  ///< [rows, ceil(in / 16)], a bit for each value that
                         ///< stays; nullptr: all do
  float factor;          ///< what the values that stay are multiplied by, 1 / (1 - p)
};

/// Whether this processor has what the functions below are written for.
bool has_low_rank();

/// low[t] = A x[t], y[t] += scale B low[t], in float32; rows of x are `in` values, those of low and y a stride apart. A
/// row's bits depend on itself alone.
template <class T>
void low_rank_forward(const LowRankTerm& term, const T* x, int64_t rows, float* low, int64_t low_stride, T* y,
                      int64_t y_stride);

/// From dL/dy and what forward left in `low`: grad_x[t] += A^T dL/dlow[t] (unless nullptr), and the sums over the rows,
/// grad_a [rank, in] and grad_b [out, rank], which are written. Their bits do not depend on the number of threads.
template <class T>
void low_rank_backward(const LowRankTerm& term, const T* x, int64_t rows, const float* low, int64_t low_stride,
                       const T* grad_y, int64_t grad_y_stride, T* grad_x, float* grad_a, float* grad_b);

extern template void low_rank_forward(const LowRankTerm&, const float*, int64_t, float*, int64_t, float*, int64_t);
extern template void low_rank_forward(const LowRankTerm&, const c10::BFloat16*, int64_t, float*, int64_t,
                                      c10::BFloat16*, int64_t);
extern template void low_rank_backward(const LowRankTerm&, const float*, int64_t, const float*, int64_t, const float*,
                                       int64_t, float*, float*, float*);
extern template void low_rank_backward(const LowRankTerm&, const c10::BFloat16*, int64_t, const float*, int64_t,
                                       const c10::BFloat16*, int64_t, c10::BFloat16*, float*, float*);

}  // namespace trireme::cpu
