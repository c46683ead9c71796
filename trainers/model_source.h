#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "core/checkpoint/checkpoint.h"
#include "core/config/field_count.h"
#include "data/image/preprocess.h"
#include "data/tokenizer/tokenizer.h"
#include "models/load_options.h"
#include "models/qwen2_vl.h"
#include "retrieval/embedder.h"

namespace trireme {

enum class ModelInit {
  kPretrained,  ///< the folder's weights
  kRandom,      ///< config.json, tokenizer and image settings of the folder; weights drawn from the seed
};
constexpr auto choice_names(ModelInit) {
  return std::to_array<std::pair<ModelInit, std::string_view>>(
      {{ModelInit::kPretrained, "pretrained"}, {ModelInit::kRandom, "random"}});
}

/// [model] What a run starts from.
struct ModelSourceConfig {
  std::filesystem::path path;
  ModelInit init = ModelInit::kPretrained;
  std::optional<std::filesystem::path> adapter;
  ComputeDtype dtype = ComputeDtype::kFloat32;

  template <class V>
  void describe(V& v) {
    v.field("path", path, "Hugging Face folder of a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint.")
        .required()
        .no_effect_on_values();
    v.field("init", init, "Begin with the folder's weights, or with random ones of its shape.");
    v.field("adapter", adapter, "PEFT LoRA adapter to train on from; then there is no [lora] section.");
    v.field("dtype", dtype, "Weights and activations; LoRA matrices and losses are float32 in both.");
  }
};
static_assert(field_count<ModelSourceConfig>() == 4, "describe() must list every field");

/// The model a run trains, and how the checkpoint wants its inputs.
struct TrainingModel {
  Model model;
  Tokenizer tokenizer;
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
  BaseModel base;                                       ///< named in checkpoints
};

/// Reads or draws the weights; nothing asks for gradients yet. options: device and head; the dtype is the config's.
/// throws what HubCheckpoint, read_adapter, Tokenizer and load_image_processor_config throw.
TrainingModel load_training_model(const ModelSourceConfig& config, uint64_t seed, LoadOptions options = {});

}  // namespace trireme
