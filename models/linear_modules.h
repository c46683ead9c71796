#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "models/model_config.h"

namespace trireme {

/// y = W x (+ bias), W [out_features, in_features].
struct LinearShape {
  int64_t in_features = 0, out_features = 0;
  bool bias = false;
  bool operator==(const LinearShape&) const = default;
};

/// Every linear layer of the model by canonical module path (models/weights/tensor_names.h): seven per decoder layer
/// (self_attn.{q,k,v,o}_proj, mlp.{gate,up,down}_proj), lm_head, and with a vision tower
/// visual.blocks.N.attn.{qkv,proj}, visual.blocks.N.mlp.{fc1,fc2} (Qwen2-VL) or .{gate,up,down}_proj (Qwen2.5-VL),
/// visual.merger.mlp.{0,2}. These are the modules that LoRA can attach to; the convolution visual.patch_embed.proj is
/// not among them.
std::map<std::string, LinearShape> linear_modules(const ModelConfig& config);

/// r * (in + out) summed over the seven decoder linears of all layers, per unit of rank r.
int64_t decoder_lora_parameters_per_rank(const ModelConfig& config);

}  // namespace trireme
