#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "core/checkpoint/checkpoint.h"
#include "data/image/preprocess.h"
#include "data/tokenizer/tokenizer.h"
#include "models/load_options.h"
#include "models/qwen2_vl.h"
#include "retrieval/embedder.h"

namespace trireme {

class FieldList;

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

  void describe(FieldList& v);
};

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
