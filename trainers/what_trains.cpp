#include "trainers/what_trains.h"

#include <algorithm>

namespace trireme {

void check_what_trains(const ModelSourceConfig& model, const std::optional<LoraConfig>& lora,
                       const TrainableConfig& trainable, Problems& problems) {
  if (lora && model.adapter)
    problems.add("lora",
                 "must be absent with model.adapter, whose LoRA is trained on; got both; remove one "
                 "(model.adapter_dropout sets the adapter's dropout)");
  if (model.adapter_dropout && !model.adapter)
    problems.add("model.adapter_dropout", "belongs to model.adapter; got none; give it, or leave this out");
  if (trainable.parts == TrainableParts::kLora && !lora && !model.adapter)
    problems.add("lora",
                 "must be given when trainable.parts is lora; got none; add the section or set trainable.parts: all");
}

void make_trainable(Lmm& base, const std::optional<LoraConfig>& lora, const TrainableConfig& trainable, uint64_t seed) {
  if (lora) attach_lora(base, *lora, seed);
  set_trainable(base, trainable);
  require_trainable(base, trainable);
}

Lmm outline_of_trained(const ModelSourceConfig& source, const std::optional<LoraConfig>& lora,
                       const TrainableConfig& trainable, LoadOptions options) {
  Lmm outline = outline_training_model(source, options);
  std::optional<LoraConfig> thin = lora;
  if (thin) thin->rank = 1;  // A's values would be drawn only to be thrown away
  make_trainable(outline, thin, trainable, 0);
  return outline;
}

bool vision_trains(Lmm& model) {
  return std::ranges::any_of(trainable_tensors(model),
                             [](const TrainableTensor& tensor) { return tensor.name.starts_with("visual."); });
}

NamedTensors trained_leaves(Lmm& model) {
  NamedTensors leaves;
  for (const TrainableTensor& trainable : trainable_tensors(model)) {
    leaves.emplace_back(trainable.name, trainable.tensor);
  }
  return leaves;
}

}  // namespace trireme
