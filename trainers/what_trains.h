#pragma once

#include <cstdint>
#include <optional>

#include "core/config/report.h"
#include "core/named_tensors.h"
#include "models/lora.h"
#include "models/trainable.h"
#include "trainers/model_source.h"

namespace trireme {

/// What recipes with [model], [lora] and [trainable] refuse: two adapters, or LoRA that is trained and not there.
void check_what_trains(const ModelSourceConfig& model, const std::optional<LoraConfig>& lora,
                       const TrainableConfig& trainable, Problems& problems);

/// Hangs fresh LoRA on the base, where there is a config for it, and makes what trains ask for gradients: the model
/// before the first step. throws as attach_lora, set_trainable and require_trainable.
void make_trainable(Lmm& base, const std::optional<LoraConfig>& lora, const TrainableConfig& trainable, uint64_t seed);

/// outline_training_model() as make_trainable() leaves it: what trains, by name, before weights are read. Fresh LoRA
/// has rank 1 in it, whatever the config's. throws as both.
Lmm outline_of_trained(const ModelSourceConfig& source, const std::optional<LoraConfig>& lora,
                       const TrainableConfig& trainable, LoadOptions options = {});

/// Whether any tensor of the vision tower trains.
bool vision_trains(Lmm& model);

/// What trains, in the model's order.
NamedTensors trained_leaves(Lmm& model);

}  // namespace trireme
