#pragma once

#include <cstdint>
#include <vector>

#include <c10/util/BFloat16.h>

namespace trireme::cpu {

/// Attention over packed sequences, optionally with the rotary turn of q and k, on a CPU with AVX-512.
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

/// Whether this processor has what the functions below are written for. Without, use libtorch's kernel.
bool has_attention();

/// Arithmetic in float32 throughout; whole rows of scores, so no running rescaling. Parallel over sequences, key/value
/// heads and blocks of queries. bounds [B+1] ascending. A row's bits depend on its own sequence alone.
void attention(const AttentionCall<float>& call, const std::vector<int64_t>& bounds);
void attention(const AttentionCall<c10::BFloat16>& call, const std::vector<int64_t>& bounds);

/// The backward pass of attention() with the rotary turn: the weights are made again from q, k and v.
template <class T>
struct AttentionGradients {
  AttentionCall<T> forward;  ///< as it was given; cos and sin not nullptr, out unused
  const T* grad_out;
  int64_t grad_out_stride;
  T *grad_q, *grad_k, *grad_v;  ///< written whole; rows are grad_stride values apart
  int64_t grad_stride;
};

/// Arithmetic in float32 throughout, in bfloat16 too. Parallel over sequences and key/value heads; a sequence's
/// gradients have the same bits whatever is packed with it and however many threads work.
void attention_backward(const AttentionGradients<float>& call, const std::vector<int64_t>& bounds);
void attention_backward(const AttentionGradients<c10::BFloat16>& call, const std::vector<int64_t>& bounds);

}  // namespace trireme::cpu
