#include "models/nn/cached_attention.h"

#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "models/nn/cpu_attention.h"
#include "models/nn/grad_mode.h"

namespace trireme {
namespace {

/// Heads [first_head, first_head + count) of a fused qkv: [T, count, d], a view.
torch::Tensor heads_of(const torch::Tensor& qkv, const AttentionHeads& heads, int64_t first_head, int64_t count) {
  return qkv.narrow(1, first_head * heads.dim, count * heads.dim).unflatten(1, {count, heads.dim});
}

bool kernel_takes(const torch::Tensor& qkv) { return has_cpu_kernel(qkv) && cpu::has_attention(); }

template <class T>
void write_by_kernel(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                     const torch::Tensor& slots, KvLayer& cache) {
  const T* first = qkv.const_data_ptr<T>();
  cpu::CacheWrite<T> call;
  call.k = first + heads.query * heads.dim;
  call.v = call.k + heads.key_value * heads.dim;
  call.stride = qkv.stride(0);
  call.cos = table.cos.const_data_ptr<float>();
  call.sin = table.sin.const_data_ptr<float>();
  call.slots = slots.const_data_ptr<int64_t>();
  call.keys = cache.keys.mutable_data_ptr<T>();
  call.values = cache.values.mutable_data_ptr<T>();
  call.kv_heads = heads.key_value;
  call.dim = heads.dim;
  cpu::write_cache(call, qkv.size(0));
}

template <class T>
torch::Tensor attend_by_kernel(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                               const CachedSeqlens& seqlens, const KvLayer& cache) {
  auto out = at::empty({qkv.size(0), heads.query * heads.dim}, qkv.options());
  cpu::CachedAttentionCall<T> call;
  call.q = qkv.const_data_ptr<T>();
  call.q_stride = qkv.stride(0);
  call.cos = table.cos.const_data_ptr<float>();
  call.sin = table.sin.const_data_ptr<float>();
  call.keys = cache.keys.const_data_ptr<T>();
  call.values = cache.values.const_data_ptr<T>();
  call.out = out.mutable_data_ptr<T>();
  call.out_stride = out.stride(0);
  call.heads = heads.query;
  call.kv_heads = heads.key_value;
  call.dim = heads.dim;
  call.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(heads.dim)));
  cpu::cached_attention(call, seqlens.bounds, seqlens.spans);
  return out;
}

/// The rows of a sequence, one after the other: [rows, Hkv, d].
torch::Tensor gathered(const torch::Tensor& rows, const std::vector<KvSpan>& spans) {
  std::vector<torch::Tensor> parts;
  for (const KvSpan& span : spans) parts.push_back(rows.narrow(0, span.begin, span.length));
  return parts.size() == 1 ? parts.front() : at::cat(parts, 0);
}

/// Any device and dtype: libtorch's kernel, sequence by sequence, on gathered rows.
torch::Tensor attend_by_sequence(const torch::Tensor& q, const CachedSeqlens& seqlens, const KvLayer& cache,
                                 double scale) {
  std::vector<torch::Tensor> parts;
  for (std::size_t b = 0; b < seqlens.spans.size(); ++b) {
    const int64_t begin = seqlens.bounds[b], count = seqlens.bounds[b + 1] - begin;
    const auto batch_of = [](const torch::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
    const auto key = gathered(cache.keys, seqlens.spans[b]), value = gathered(cache.values, seqlens.spans[b]);
    const int64_t keys = key.size(0);
    std::optional<torch::Tensor> sees;
    if (count > 1) sees = at::ones({count, keys}, q.options().dtype(torch::kBool)).tril(keys - count);
    const auto out = at::scaled_dot_product_attention(batch_of(q.narrow(0, begin, count)), batch_of(key),
                                                      batch_of(value), sees, 0.0, /*is_causal=*/false, scale,
                                                      /*enable_gqa=*/true);
    parts.push_back(out.squeeze(0).transpose(0, 1).flatten(1));
  }
  return at::cat(parts, 0);
}

}  // namespace

void write_keys_and_values(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                           const torch::Tensor& slots, KvLayer& cache) {
  if (kernel_takes(qkv)) {
    if (qkv.scalar_type() == torch::kFloat32) {
      write_by_kernel<float>(qkv, heads, table, slots, cache);
    } else {
      write_by_kernel<c10::BFloat16>(qkv, heads, table, slots, cache);
    }
    return;
  }
  cache.keys.index_copy_(0, slots, rotate(heads_of(qkv, heads, heads.query, heads.key_value), table));
  cache.values.index_copy_(0, slots, heads_of(qkv, heads, heads.query + heads.key_value, heads.key_value));
}

torch::Tensor cached_rotary_attention(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                                      const CachedSeqlens& seqlens, const KvLayer& cache) {
  if (kernel_takes(qkv)) {
    return qkv.scalar_type() == torch::kFloat32 ? attend_by_kernel<float>(qkv, heads, table, seqlens, cache)
                                                : attend_by_kernel<c10::BFloat16>(qkv, heads, table, seqlens, cache);
  }
  return attend_by_sequence(rotate(heads_of(qkv, heads, 0, heads.query), table), seqlens, cache,
                            1.0 / std::sqrt(static_cast<double>(heads.dim)));
}

}  // namespace trireme
