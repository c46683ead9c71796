#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answering/checkpoint_weights.h"
#include "answering/model_inputs.h"
#include "core/checkpoint/checkpoint.h"
#include "core/config/base_fields.h"
#include "core/distributed/communicator.h"
#include "models/lmm.h"
#include "models/load_options.h"

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

/// [model] What a run starts from; LoRA matrices and losses are float32 whatever the dtype.
struct ModelSourceConfig : CheckpointSource {
  ModelInit init = ModelInit::kPretrained;
  std::optional<double> adapter_dropout;

  void describe(FieldList& v);
};
template <>
consteval int64_t field_count<ModelSourceConfig>() {
  return own_and_base_fields<ModelSourceConfig, CheckpointSource>();
}

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
