#pragma once

#include <optional>
#include <vector>

#include "core/tensor.h"
#include "models/model_config.h"
#include "models/nn/attention.h"
#include "models/nn/cached_attention.h"
#include "models/nn/dropout.h"
#include "models/nn/linear.h"
#include "models/tensors.h"

namespace trireme {

struct Qwen2Layer {
  torch::Tensor input_norm;  ///< [D]
  Linear qkv;                ///< rows: q (H d), k (Hkv d), v (Hkv d); with bias
  Linear o;                  ///< [D, H d]
  torch::Tensor post_norm;   ///< [D]
  Linear gate_up;            ///< rows: gate (F), up (F)
  Linear down;               ///< [D, F]
};

/// The text decoder of Qwen2, Qwen2-VL and Qwen2.5-VL (arXiv:2407.10671, sec. 2.2): pre-norm, grouped-query attention
/// with biased qkv, SwiGLU.
struct Qwen2Decoder {
  torch::Tensor embed_tokens;  ///< [V, D]
  std::vector<Qwen2Layer> layers;
  torch::Tensor norm;  ///< [D]
};

/// Gives model.embed_tokens, model.layers.*, model.norm; decoder.layers: config.layers of them.
void visit_tensors(Qwen2Decoder& decoder, const DecoderConfig& config, const TensorVisitor& visitor);

/// What the layers of one forward pass share.
struct DecoderPass {
  DecoderConfig config;
  RotaryTable rotary;
  Seqlens seqlens;
  std::optional<DropoutRows> dropout;  ///< of the packed tokens
  torch::Tensor rows;                  ///< [N] int64: what is asked for
  bool recompute_layers = false;
};

/// hidden [T, D]: embedded tokens, image features spliced in. -> [N, D], the final norm's output at pass.rows. The last
/// layer's output projection and MLP and the final norm run on those rows only. Takes `hidden` over.
torch::Tensor decode_rows(const Qwen2Decoder& decoder, const DecoderPass& pass, torch::Tensor hidden);

/// What the layers of one pass over cached sequences share.
struct CachedPass {
  DecoderConfig config;
  RotaryTable rotary;  ///< of the new tokens
  CachedSeqlens seqlens;
  torch::Tensor rows;  ///< [N] int64, of the new tokens: what is asked for; with none the last layer stops at its keys
};

/// decode_rows for tokens that continue cached sequences; their keys and values are added to `cache`, one a layer.
/// Records no gradient.
torch::Tensor decode_rows(const Qwen2Decoder& decoder, const CachedPass& pass, std::vector<KvLayer>& cache,
                          torch::Tensor hidden);

}  // namespace trireme
