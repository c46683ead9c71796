#include "trainers/lamra_ret_parts.h"

#include <algorithm>
#include <iterator>

#include "answering/model_inputs.h"
#include "data/loader/image_reader.h"
#include "trainers/mined_source.h"
#include "trainers/run_state.h"
#include "trainers/what_trains.h"

namespace trireme {
namespace {

TrainingModel trainable_model(const LamraRetFiles& files, c10::Device device) {
  const LamraRetConfig& config = files.config;
  files.communicator.barrier();
  TrainingModel base =
      load_training_model(config.model, static_cast<uint64_t>(config.seed), files.communicator, {.device = device});
  make_trainable(base.model, config.lora, config.trainable, static_cast<uint64_t>(config.seed));
  return base;
}

/// Undefined unless it is learned.
torch::Tensor learned_temperature(const InfoNceConfig& config, c10::Device device) {
  if (!config.learn_temperature) return {};
  return initial_log_inverse_temperature(config).detach().to(device).requires_grad_();
}

/// A learned temperature comes first, so its gradient leaves last: it is complete before the model's are begun.
NamedTensors leaves_of(Lmm& model, const torch::Tensor& log_inverse_temperature) {
  NamedTensors leaves;
  if (log_inverse_temperature.defined()) leaves.emplace_back("loss.log_inverse_temperature", log_inverse_temperature);
  std::ranges::move(trained_leaves(model), std::back_inserter(leaves));
  return leaves;
}

}  // namespace

LamraRetFiles::LamraRetFiles(const LamraRetConfig& run_config, TrainingJob& job)
    : config(run_config),
      communicator(job.communicator),
      inputs(config.model.path),
      negatives(open_mined(config.mined, communicator, job.log)),
      set(config.data, negatives ? &*negatives : nullptr),
      steps(total_steps(config.train, set.steps_per_epoch())),
      schedule(config.schedule, steps),
      first_batches(loader(0)) {
  require_images_fit(set, config.data, inputs.model_input());
  check_widths(config.loss, inputs.shape.decoder.hidden_size);
  Lmm outline = outline_of_trained(config.model, config.lora, config.trainable);
  check_lr_factors(config.optim, leaves_of(outline, learned_temperature(config.loss, outline.device)));
}

std::unique_ptr<BatchStream<PairBatch>> LamraRetFiles::loader(int64_t first_step) const {
  return std::make_unique<BatchStream<PairBatch>>(pair_batches(set, config.data, inputs.model_input(),
                                                               static_cast<uint64_t>(config.seed),
                                                               {communicator.rank(), communicator.size()}, first_step));
}

LamraRetParts::LamraRetParts(const LamraRetFiles& files, TrainingJob& job)
    : base(trainable_model(files, job.device)),
      task{.model = base.model,
           .step = files.config.step,
           .loss = files.config.loss,
           .pairs_global = files.config.data.sampler.pairs_global,
           .seed = static_cast<uint64_t>(files.config.seed),
           .vision_trains = vision_trains(base.model),
           .log_inverse_temperature = learned_temperature(files.config.loss, job.device)},
      leaves(leaves_of(base.model, task.log_inverse_temperature)),
      optimizer(files.config.optim, leaves),
      reducer(values_of(leaves), files.communicator) {
  log_unused(base.unused, job.log);
}

}  // namespace trireme
