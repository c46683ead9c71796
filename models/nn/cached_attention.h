#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "models/nn/attention.h"
#include "models/nn/cpu_cached_attention.h"
#include "models/nn/rotary.h"

namespace trireme {

/// One layer's cached keys, turned by the rotary embedding, and values: [rows, Hkv, d] each, dense.
struct KvLayer {
  torch::Tensor keys, values;
};

/// New tokens of B packed sequences and the cache rows that each sequence sees.
struct CachedSeqlens {
  std::vector<int64_t> bounds;             ///< [B+1]: sequence b is the new tokens [bounds[b], bounds[b+1])
  std::vector<std::vector<KvSpan>> spans;  ///< [B]: its rows in order, those of the new tokens last; none empty
  torch::Tensor slots;                     ///< [T] int64, beside the cache: the row of each new token
};

/// Writes the keys and values of the new tokens into their rows: k turned by the table, rounded to the cache's dtype.
/// qkv [T, (H + 2 Hkv) d]. Records no gradient.
void write_keys_and_values(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                           const torch::Tensor& slots, KvLayer& cache);

/// rotary_attention over sequences whose beginnings are cached: a new token sees itself and everything before it in its
/// sequence. To be called after write_keys_and_values(). -> [T, H d] of qkv's dtype. Records no gradient.
/// A prefix that several sequences have in common is read, never copied for each. In float32 on a CPU with AVX-512 the
/// rows have the bits of rotary_attention() over the whole sequences; in bfloat16 the cached keys are rounded.
torch::Tensor cached_rotary_attention(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                                      const CachedSeqlens& seqlens, const KvLayer& cache);

}  // namespace trireme
