#include "trainers/trained_lmm.h"

#include "core/config/field_list.h"

namespace trireme {

void TrainedLmmConfig::describe_spread(FieldList& v, std::string_view what) {
  v.spreads(*this);
  v.field("model", model, what);
  v.field("lora", lora, "Fresh low-rank terms; none when absent.");
  v.field("trainable", trainable, "Which tensors train.");
}
static_assert(field_count<TrainedLmmConfig>() == 3, "describe_spread() must list every field");

void TrainedLmmConfig::check(Problems& problems) const {
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

void make_trainable(Lmm& base, const TrainedLmmConfig& config, int64_t seed) {
  if (config.lora) attach_lora(base, *config.lora, static_cast<uint64_t>(seed));
  set_trainable(base, config.trainable);
  require_trainable(base, config.trainable);
}

TrainingModel load_trained_lmm(const TrainedLmmConfig& config, int64_t seed, Communicator& communicator,
                               LoadOptions options) {
  communicator.barrier();
  TrainingModel trained = load_training_model(config.model, static_cast<uint64_t>(seed), communicator, options);
  make_trainable(trained.model, config, seed);
  return trained;
}

Lmm outline_of_trained(const TrainedLmmConfig& config, LoadOptions options) {
  Lmm outline = outline_training_model(config.model, options);
  TrainedLmmConfig thin = config;
  if (thin.lora) thin.lora->rank = 1;  // A's values would be drawn only to be thrown away
  make_trainable(outline, thin, 0);
  return outline;
}

NamedTensors trained_leaves(Lmm& model) {
  NamedTensors leaves;
  for (const TrainableTensor& trainable : trainable_tensors(model)) {
    leaves.emplace_back(trainable.name, trainable.tensor);
  }
  return leaves;
}

TrainedTensors trained_tensors(TrainingModel& trained, NamedTensors leaves) {
  TrainedTensors out{trained.base, std::move(leaves), tensor_statuses(trained.model)};
  for (const Parameter& parameter : named_parameters(trained.model)) {
    out.weight_bytes += static_cast<int64_t>(parameter.value.nbytes());
  }
  return out;
}

double linear_flop(Lmm& model, const PairBatchCounts& counts) {
  constexpr double kPatchesPerMergedRow = 4;
  const bool tower_trains = vision_trains(model);
  double flop = 0;
  for (const LinearModule& module : linear_layers(model)) {
    if (module.part == ModelPart::kHead) continue;
    const bool vision = sees_pictures(module.part);
    const double rows = !vision                             ? static_cast<double>(counts.tokens)
                        : module.part == ModelPart::kMerger ? static_cast<double>(counts.patches) / kPatchesPerMergedRow
                                                            : static_cast<double>(counts.patches);
    const auto weights = static_cast<double>(module.rows * module.in_features);
    const double passes = vision && !tower_trains ? 2 : module.layer->weight.requires_grad() ? 6 : 4;
    flop += passes * weights * rows;
    for (const LoraTerm& term : module.layer->lora) {
      if (term.row_begin != module.row_begin) continue;
      flop += 6 * static_cast<double>(term.a.numel() + term.b.numel()) * rows;
    }
  }
  return flop;
}

}  // namespace trireme
