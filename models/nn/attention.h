#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "models/nn/rotary.h"

namespace trireme {

/// Where the packed sequences (or windows) of an attention call begin and end.
struct Seqlens {
  std::vector<int64_t> bounds;  ///< B+1 ascending, from 0 to T
  int64_t longest = 0;
  torch::Tensor on_device;  ///< [B+1] int32 copy beside q on a GPU; undefined on the CPU

  int64_t count() const { return static_cast<int64_t>(bounds.size()) - 1; }
};

/// throws ShapeError: bounds empty, not from 0, or not ascending.
Seqlens make_seqlens(std::vector<int64_t> bounds, c10::Device device);

enum class AttentionMask {
  kFull,   ///< every token of its own sequence
  kCausal  ///< itself and the tokens before it, of its own sequence
};

/// softmax(scale * q k^T) v over packed sequences. Source: arXiv:1706.03762, eq. 1; grouped heads arXiv:2305.13245.
/// q [T, H, d]; k, v [T, Hkv, d], H a multiple of Hkv: query head h reads key/value head h / (H / Hkv). Rows may be
/// strided (slices of a fused qkv). -> [T, H, d] of q's dtype. Differentiable. A sequence's rows depend on nothing else
/// in the pack. cost: O(sum of squared lengths); memory O(T).
torch::Tensor attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, const Seqlens& seqlens,
                        AttentionMask mask, double scale);

struct AttentionHeads {
  int64_t query = 0, key_value = 0, dim = 0;
};

/// The step between the two projections: qkv [T, (H + 2 Hkv) d], q and k turned by the table, attention with scale
/// 1/sqrt(d) -> [T, H d]. Differentiable in qkv.
torch::Tensor rotary_attention(const torch::Tensor& qkv, const AttentionHeads& heads, const RotaryTable& table,
                               const Seqlens& seqlens, AttentionMask mask);

}  // namespace trireme
