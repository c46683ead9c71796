#pragma once

#include <cstdint>
#include <vector>

#include <c10/util/BFloat16.h>

namespace trireme::cpu {

/// Attention over packed sequences, optionally with the rotary turn of q and k: inference on a CPU with AVX-512.
/// Rows of q, k, v, out are tokens, `*_stride` values apart; within a row the heads lie one by one, `dim` each.
template <class T>
struct AttentionCall {
  const T *q, *k, *v;
  int64_t q_stride, k_stride, v_stride;
  T* out;
  int64_t out_stride;
  const float *cos, *sin;  ///< [T, dim / 2]; nullptr: q and k are taken as they are
  int64_t heads, kv_heads, dim;
  float scale;
  bool causal;
};

/// Whether this processor has what attention() below is written for. Without, use libtorch's kernel.
bool has_attention();

/// Arithmetic in float32 throughout; whole rows of scores, so no running rescaling. Parallel over sequences, key/value
/// heads and blocks of queries. bounds [B+1] ascending. A row's bits depend on its own sequence alone.
void attention(const AttentionCall<float>& call, const std::vector<int64_t>& bounds);
void attention(const AttentionCall<c10::BFloat16>& call, const std::vector<int64_t>& bounds);

}  // namespace trireme::cpu
