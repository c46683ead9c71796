#include "models/nn/attention.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "core/shape.h"
#include "models/nn/cpu_attention.h"
#include "models/nn/grad_mode.h"
#include "models/nn/gradients.h"

namespace trireme {
namespace {

/// Consecutive sequences of one length: they are one batch of a dense kernel.
struct Run {
  int64_t begin, count, length;
};

std::vector<Run> runs_of_equal_length(const Seqlens& seqlens) {
  std::vector<Run> runs;
  for (int64_t i = 0; i < seqlens.count(); ++i) {
    const int64_t begin = seqlens.bounds[i], length = seqlens.bounds[i + 1] - begin;
    if (!runs.empty() && runs.back().length == length) {
      ++runs.back().count;
    } else {
      runs.push_back({begin, 1, length});
    }
  }
  return runs;
}

/// [T, H, d] -> [count, H, length, d], a view.
torch::Tensor batch_of(const torch::Tensor& x, const Run& run) {
  return x.narrow(0, run.begin, run.count * run.length).unflatten(0, {run.count, run.length}).transpose(1, 2);
}

torch::Tensor dense_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, const Run& run,
                              bool causal, double scale) {
  const auto query = batch_of(q, run), key = batch_of(k, run), value = batch_of(v, run);
  const auto out =
      q.is_cpu()
          ? std::get<0>(at::_scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0, causal, {}, scale))
          : at::scaled_dot_product_attention(query, key, value, {}, 0.0, causal, scale, /*enable_gqa=*/true);
  return out.transpose(1, 2).flatten(0, 1);
}

/// Any device, dtype and head width; differentiable.
torch::Tensor attention_by_runs(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                const Seqlens& seqlens, bool causal, double scale) {
  std::vector<torch::Tensor> parts;
  for (const Run& run : runs_of_equal_length(seqlens)) {
    parts.push_back(dense_attention(q, k, v, run, causal, scale));
  }
  return at::cat(parts, 0);
}

torch::Tensor attention_on_gpu(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                               const Seqlens& seqlens, bool causal, double scale) {
  return std::get<0>(at::_flash_attention_forward(q, k, v, seqlens.on_device, seqlens.on_device, seqlens.longest,
                                                  seqlens.longest, 0.0, causal, false, scale));
}

/// What flash attention's variable-length form takes on a GPU.
bool has_gpu_kernel(const torch::Tensor& q) {
  constexpr int64_t kMaxHeadDim = 256;
  const bool half = q.scalar_type() == torch::kBFloat16 || q.scalar_type() == torch::kFloat16;
  return q.is_cuda() && half && q.size(2) % 8 == 0 && q.size(2) <= kMaxHeadDim;
}

template <class T>
torch::Tensor attention_by_kernel(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                  const RotaryTable& table, const Seqlens& seqlens, bool causal, double scale) {
  auto out = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
  cpu::AttentionCall<T> call;
  call.q = q.const_data_ptr<T>();
  call.k = k.const_data_ptr<T>();
  call.v = v.const_data_ptr<T>();
  call.q_stride = q.stride(0);
  call.k_stride = k.stride(0);
  call.v_stride = v.stride(0);
  call.out = out.mutable_data_ptr<T>();
  call.out_stride = out.stride(0);
  call.cos = table.cos.defined() ? table.cos.const_data_ptr<float>() : nullptr;
  call.sin = table.sin.defined() ? table.sin.const_data_ptr<float>() : nullptr;
  call.heads = q.size(1);
  call.kv_heads = k.size(1);
  call.dim = q.size(2);
  call.scale = static_cast<float>(scale);
  call.causal = causal;
  cpu::attention(call, seqlens.bounds);
  return out;
}

bool heads_are_dense(const torch::Tensor& x) { return x.stride(2) == 1 && x.stride(1) == x.size(2); }

/// The one body with the rotary turn inside; an empty table means none.
torch::Tensor attention_by_kernel(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                  const RotaryTable& table, const Seqlens& seqlens, bool causal, double scale) {
  return q.scalar_type() == torch::kFloat32
             ? attention_by_kernel<float>(q, k, v, table, seqlens, causal, scale)
             : attention_by_kernel<c10::BFloat16>(q, k, v, table, seqlens, causal, scale);
}

bool kernel_takes(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v) {
  return has_cpu_kernel(q) && cpu::has_attention() && heads_are_dense(q) && heads_are_dense(k) && heads_are_dense(v);
}

}  // namespace

Seqlens make_seqlens(std::vector<int64_t> bounds, c10::Device device) {
  TRIREME_CHECK(!bounds.empty() && bounds.front() == 0, ShapeError, "attention",
                "sequence bounds must begin with 0; got {}; pass cumulative lengths.",
                bounds.empty() ? "none" : std::to_string(bounds.front()));
  Seqlens seqlens;
  for (std::size_t i = 1; i < bounds.size(); ++i) {
    TRIREME_CHECK(bounds[i] > bounds[i - 1], ShapeError, "attention",
                  "sequence bounds must ascend; got {} after {} at {}; leave empty sequences out.", bounds[i],
                  bounds[i - 1], i);
    seqlens.longest = std::max(seqlens.longest, bounds[i] - bounds[i - 1]);
  }
  if (!device.is_cpu()) seqlens.on_device = at::tensor(bounds, at::TensorOptions(torch::kInt32)).to(device);
  seqlens.bounds = std::move(bounds);
  return seqlens;
}

torch::Tensor attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, const Seqlens& seqlens,
                        AttentionMask mask, double scale) {
  TRIREME_CHECK(
      q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(2) == k.size(2) &&
          k.size(1) > 0 && q.size(1) % k.size(1) == 0,
      ShapeError, "attention",
      "q [T, H, d], k and v [T, Hkv, d] with H a multiple of Hkv required; got {}, {} and {}; pass one row per "
      "token.",
      shape_string(q), shape_string(k), shape_string(v));
  TRIREME_CHECK(seqlens.bounds.back() == q.size(0), ShapeError, "attention",
                "sequence bounds must end with the number of rows; got {} and {} rows; pass the batch's own bounds.",
                seqlens.bounds.back(), q.size(0));
  const bool causal = mask == AttentionMask::kCausal;
  if (!records_gradient(q, k, v) && kernel_takes(q, k, v)) {
    return attention_by_kernel(q, k, v, {}, seqlens, causal, scale);
  }
  if (has_gpu_kernel(q)) return attention_on_gpu(q, k, v, seqlens, causal, scale);
  return attention_by_runs(q, k, v, seqlens, causal, scale);
}

torch::Tensor rotary_attention(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                               const Seqlens& seqlens, AttentionMask mask) {
  const auto cut = [&](int64_t first_head, int64_t count) {
    return qkv.narrow(1, first_head * heads.dim, count * heads.dim).unflatten(1, {count, heads.dim});
  };
  const torch::Tensor q = cut(0, heads.query), k = cut(heads.query, heads.key_value),
                      v = cut(heads.query + heads.key_value, heads.key_value);
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.dim));
  if (kernel_takes(q, k, v)) {
    if (records_gradient(qkv)) return rotary_attention_with_gradient(qkv, heads, table, seqlens, mask);
    return attention_by_kernel(q, k, v, table, seqlens, mask == AttentionMask::kCausal, scale).flatten(1);
  }
  return attention(rotate(q, table), rotate(k, table), v, seqlens, mask, scale).flatten(1);
}

}  // namespace trireme
