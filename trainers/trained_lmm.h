#pragma once

#include <cstdint>
#include <optional>

#include "core/config/report.h"
#include "core/named_tensors.h"
#include "data/loader/pair_batch.h"
#include "models/lora.h"
#include "models/trainable.h"
#include "trainers/model_source.h"
#include "trainers/trained_tensors.h"
#include "trainers/training_job.h"

namespace trireme {

class FieldList;

/// What a recipe's config has of the model it trains: three of its fields.
struct TrainedLmmConfig {
  ModelSourceConfig model;
  std::optional<LoraConfig> lora;
  TrainableConfig trainable;

  void describe_spread(FieldList& v, std::string_view what);
  /// Refuses two adapters, and LoRA that is trained and not there.
  void check(Problems& problems) const;
};

/// Hangs fresh LoRA on the base, where there is a config for it, and makes what trains ask for gradients: the model
/// before the first step. throws as attach_lora, set_trainable and require_trainable.
void make_trainable(Lmm& base, const TrainedLmmConfig& config, int64_t seed);

/// Reads or draws the weights and makes them trainable. Waits first until every rank is here: what one of them refuses
/// of its files is told before weights are read. Collective. throws as load_training_model() and make_trainable().
TrainingModel load_trained_lmm(const TrainedLmmConfig& config, int64_t seed, Communicator& communicator,
                               LoadOptions options = {});

/// The same without a value in it (on libtorch's meta device), for what trains, by name, before weights are read. Fresh
/// LoRA has rank 1 in it, whatever the config's. throws as outline_training_model and the above.
Lmm outline_of_trained(const TrainedLmmConfig& config, LoadOptions options = {});

/// What trains, in the model's order.
NamedTensors trained_leaves(Lmm& model);

/// For the loop. `leaves`: those of the model, and what else trains.
TrainedTensors trained_tensors(TrainingModel& trained, NamedTensors leaves);

/// Multiplications and additions of the linear layers for a batch, as StepBenchResult::linear_flop has them.
double linear_flop(Lmm& model, const PairBatchCounts& counts);

}  // namespace trireme
