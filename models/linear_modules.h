#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/model_config.h"

namespace trireme {

/// y = W x (+ bias), W [out_features, in_features].
struct LinearShape {
  int64_t in_features = 0, out_features = 0;
  bool bias = false;
  /// Of a convolution whose stride is its kernel, which is a linear layer over flattened patches: [channels, kernel..],
  /// in_features of them.
  std::vector<int64_t> kernel = {};
  bool operator==(const LinearShape&) const = default;
};

/// Every linear layer of the model by canonical module path (models/weights/tensor_names.h): seven per decoder layer
/// (self_attn.{q,k,v,o}_proj, mlp.{gate,up,down}_proj), lm_head, and with a vision tower
/// visual.blocks.N.attn.{qkv,proj}, visual.blocks.N.mlp.{fc1,fc2} (Qwen2-VL) or .{gate,up,down}_proj (Qwen2.5-VL),
/// visual.merger.mlp.{0,2}. These are the modules that fresh LoRA can attach to.
std::map<std::string, LinearShape> linear_modules(const ModelConfig& config);

/// Those, and the convolution visual.patch_embed.proj: what LoRA of a file can be on.
std::map<std::string, LinearShape> lora_modules(const ModelConfig& config);

/// What a layer and a pair of LoRA of rank r on it look like in files: weight [out, in], A [r, in], B [out, r]; of the
/// convolution weight [out, channels, kernel..], A [r, channels, kernel..], B [out, r, 1..].
struct StoredShapes {
  std::vector<int64_t> weight, a, b;
};
StoredShapes stored_shapes(const LinearShape& layer, int64_t rank);

/// r * (in + out) summed over the seven decoder linears of all layers, per unit of rank r.
int64_t decoder_lora_parameters_per_rank(const ModelConfig& config);

}  // namespace trireme
