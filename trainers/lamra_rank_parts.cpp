#include "trainers/lamra_rank_parts.h"

#include "trainers/mined_source.h"
#include "trainers/run_state.h"
#include "trainers/what_trains.h"

namespace trireme {
namespace {

TrainingModel trainable_model(const LamraRankConfig& config, c10::Device device) {
  const auto seed = static_cast<uint64_t>(config.seed);
  TrainingModel base = load_training_model(config.model, seed, {.device = device, .head = true});
  make_trainable(base.model, config.lora, config.trainable, seed);
  return base;
}

RerankSamplesConfig samples_for(const LamraRankConfig& config, Model& model) {
  RerankSamplesConfig samples = config.samples;
  samples.share_images = samples.share_images && !vision_trains(model);
  return samples;
}

}  // namespace

LamraRankParts::LamraRankParts(const LamraRankConfig& run_config, TrainingJob& job)
    : config(run_config),
      communicator(job.communicator),
      negatives(open_mined(config.mined, communicator, job.log)),
      set(config.data, &negatives),
      base(trainable_model(config, job.device)),
      samples(samples_for(config, base.model)),
      task{.model = base.model, .step = config.step, .loss = config.loss, .seed = static_cast<uint64_t>(config.seed)},
      leaves(trained_leaves(base.model)),
      optimizer(config.optim, leaves),
      reducer(values_of(leaves), communicator) {}

RerankLoader LamraRankParts::loader(int64_t first_step) const {
  return {set,
          config.data,
          samples,
          negatives,
          {base.tokenizer, base.model.config.image_token_id, base.image_processor},
          static_cast<uint64_t>(config.seed),
          {communicator.rank(), communicator.size()},
          first_step};
}

}  // namespace trireme
