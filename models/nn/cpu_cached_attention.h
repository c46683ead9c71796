#pragma once

#include <cstdint>
#include <vector>

#include <c10/util/BFloat16.h>

namespace trireme {

/// Consecutive rows of a cache.
struct KvSpan {
  int64_t begin = 0, length = 0;
};

}  // namespace trireme

namespace trireme::cpu {

/// New tokens on their way into a cache, on a CPU with AVX-512 (has_attention()). Heads lie one by one, `dim` each.
template <class T>
struct CacheWrite {
  const T *k, *v;
  int64_t stride;          ///< between the rows of k, and of v
  const float *cos, *sin;  ///< [T, dim / 2]
  const int64_t* slots;    ///< [T]: the cache row of each token
  T *keys, *values;        ///< the cache; rows are kv_heads * dim values apart
  int64_t kv_heads, dim;
};

/// Keys turned by the table and then rounded to T, values as they are.
void write_cache(const CacheWrite<float>& call, int64_t tokens);
void write_cache(const CacheWrite<c10::BFloat16>& call, int64_t tokens);

/// Attention of new tokens over cached keys, their own among them.
template <class T>
struct CachedAttentionCall {
  const T* q;
  int64_t q_stride;
  const float *cos, *sin;  ///< [T, dim / 2], of the queries; the keys are turned already
  const T *keys, *values;  ///< the cache; rows are kv_heads * dim values apart
  T* out;
  int64_t out_stride;
  int64_t heads, kv_heads, dim;
  float scale;
};

/// Sequence b has the queries [bounds[b], bounds[b+1]) and the keys of spans[b], its own last, so that its query i sees
/// all but the last (queries - 1 - i) of them. Arithmetic in float32. A row's bits depend on its own sequence alone and
/// are, in float32, those of attention() over the whole sequence. Keys that sequences have in common are laid out once
/// for all that a thread works on.
void cached_attention(const CachedAttentionCall<float>& call, const std::vector<int64_t>& bounds,
                      const std::vector<std::vector<KvSpan>>& spans);
void cached_attention(const CachedAttentionCall<c10::BFloat16>& call, const std::vector<int64_t>& bounds,
                      const std::vector<std::vector<KvSpan>>& spans);

}  // namespace trireme::cpu
