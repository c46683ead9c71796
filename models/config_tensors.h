#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/tensors.h"

namespace trireme {

/// Every tensor that a checkpoint of this configuration holds, by canonical name (models/weights/tensor_names.h), with
/// its shape. lm_head.weight is among them only when the head is not tied. Reads no file.
std::map<std::string, std::vector<int64_t>> tensor_shapes(const ModelConfig& config);

/// Every linear layer of the model by canonical module path, lm_head tied or not: what fresh LoRA can attach to.
/// LinearModule::layer is null.
std::map<std::string, LinearModule> linear_modules(const ModelConfig& config);

/// Those, and the convolution visual.patch_embed.proj: what LoRA of a file can be on.
std::map<std::string, LinearModule> lora_modules(const ModelConfig& config);

/// What a layer and a pair of LoRA of rank r on it look like in files: weight [out, in], A [r, in], B [out, r]; of a
/// convolution weight [out, channels, kernel..], A [r, channels, kernel..], B [out, r, 1..].
struct StoredShapes {
  std::vector<int64_t> weight, a, b;
};
StoredShapes stored_shapes(const LinearModule& layer, int64_t rank);

/// r * (in + out) summed over the seven decoder linears of all layers, per unit of rank r.
int64_t decoder_lora_parameters_per_rank(const ModelConfig& config);

}  // namespace trireme
