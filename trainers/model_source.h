#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/distributed/communicator.h"
#include "data/image/preprocess.h"
#include "data/loader/model_input.h"
#include "data/tokenizer/tokenizer.h"
#include "models/lmm.h"
#include "models/load_options.h"
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
  std::optional<double> adapter_dropout;
  ComputeDtype dtype = ComputeDtype::kFloat32;

  void describe(FieldList& v);
};

/// What a checkpoint's folder says beside its weights.
struct ModelInputs {
  /// throws what read_model_config, Tokenizer and image_processor_of throw.
  explicit ModelInputs(const std::filesystem::path& folder);
  /// For loaders, which this outlives.
  ModelInput model_input() const { return {tokenizer, shape.image_token_id, image_processor}; }

  ModelConfig shape;
  Tokenizer tokenizer;
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
};

/// The model a run trains.
struct TrainingModel {
  Lmm model;
  BaseModel base;                        ///< named in checkpoints
  std::vector<std::string> unused = {};  ///< of the files: harmless, each with its reason
};

/// Reads or draws the weights; nothing asks for gradients yet. options: device and head; the dtype is the config's. One
/// rank of each host takes the hash of the weights meanwhile. Collective.
/// throws what HubCheckpoint, load_model, read_adapter and attach_adapter throw.
TrainingModel load_training_model(const ModelSourceConfig& config, uint64_t seed, Communicator& communicator,
                                  LoadOptions options = {});

/// The same model without a value in it (on libtorch's meta device): its names and shapes are those of the files'
/// headers, so what fits and what trains is known before weights are read or memory is taken. throws as
/// load_training_model().
Lmm outline_training_model(const ModelSourceConfig& config, LoadOptions options = {});

}  // namespace trireme
