#include "trainers/lamra_ret_parts.h"

#include <algorithm>
#include <iterator>

#include "trainers/mined_source.h"
#include "trainers/run_state.h"
#include "trainers/what_trains.h"

namespace trireme {
namespace {

TrainingModel trainable_model(const LamraRetConfig& config, c10::Device device) {
  TrainingModel base = load_training_model(config.model, static_cast<uint64_t>(config.seed), {.device = device});
  make_trainable(base.model, config.lora, config.trainable, static_cast<uint64_t>(config.seed));
  return base;
}

/// Undefined unless it is learned.
torch::Tensor learned_temperature(const InfoNceConfig& config, c10::Device device) {
  if (!config.learn_temperature) return {};
  return initial_log_inverse_temperature(config).detach().to(device).requires_grad_();
}

/// A learned temperature comes first, so its gradient leaves last: it is complete before the model's are begun.
NamedTensors leaves_of(Model& model, const torch::Tensor& log_inverse_temperature) {
  NamedTensors leaves;
  if (log_inverse_temperature.defined()) leaves.emplace_back("loss.log_inverse_temperature", log_inverse_temperature);
  std::ranges::move(trained_leaves(model), std::back_inserter(leaves));
  return leaves;
}

}  // namespace

LamraRetParts::LamraRetParts(const LamraRetConfig& run_config, TrainingJob& job)
    : config(run_config),
      communicator(job.communicator),
      negatives(open_mined(config.mined, communicator, job.log)),
      set(config.data, negatives ? &*negatives : nullptr),
      base(trainable_model(config, job.device)),
      task{.model = base.model,
           .step = config.step,
           .loss = config.loss,
           .pairs_global = config.data.sampler.pairs_global,
           .seed = static_cast<uint64_t>(config.seed),
           .vision_trains = vision_trains(base.model),
           .log_inverse_temperature = learned_temperature(config.loss, job.device)},
      leaves(leaves_of(base.model, task.log_inverse_temperature)),
      optimizer(config.optim, leaves),
      reducer(values_of(leaves), communicator) {}

PairLoader LamraRetParts::loader(int64_t first_step) const {
  return {set,
          config.data,
          {base.tokenizer, base.model.config.image_token_id, base.image_processor},
          static_cast<uint64_t>(config.seed),
          {communicator.rank(), communicator.size()},
          first_step};
}

}  // namespace trireme
