#include "trainers/lamra_rank_parts.h"

#include "answering/model_inputs.h"
#include "data/loader/image_reader.h"
#include "trainers/mined_source.h"
#include "trainers/run_state.h"
#include "trainers/what_trains.h"

namespace trireme {
namespace {

TrainingModel trainable_model(const LamraRankFiles& files, c10::Device device) {
  const LamraRankConfig& config = files.config;
  const auto seed = static_cast<uint64_t>(config.seed);
  files.communicator.barrier();
  TrainingModel base = load_training_model(config.model, seed, files.communicator, {.device = device, .head = true});
  make_trainable(base.model, config.lora, config.trainable, seed);
  return base;
}

/// Checks what trains on the way.
RerankSamplesConfig samples_for(const LamraRankConfig& config) {
  Lmm outline = outline_of_trained(config.model, config.lora, config.trainable, {.head = true});
  check_lr_factors(config.optim, trained_leaves(outline));
  RerankSamplesConfig samples = config.samples;
  samples.share_images = samples.share_images && !vision_trains(outline);
  return samples;
}

}  // namespace

LamraRankFiles::LamraRankFiles(const LamraRankConfig& run_config, TrainingJob& job)
    : config(run_config),
      communicator(job.communicator),
      inputs(config.model.path),
      negatives(open_mined(config.mined, communicator, job.log)),
      set(config.data, &negatives),
      steps(total_steps(config.train, set.steps_per_epoch())),
      schedule(config.schedule, steps),
      samples(samples_for(config)),
      first_batches(loader(0)) {
  require_images_fit(set, config.data, inputs.model_input());
}

std::unique_ptr<BatchStream<RerankBatch>> LamraRankFiles::loader(int64_t first_step) const {
  return std::make_unique<BatchStream<RerankBatch>>(
      rerank_batches(set, config.data, samples, negatives, inputs.model_input(), static_cast<uint64_t>(config.seed),
                     {communicator.rank(), communicator.size()}, first_step));
}

LamraRankParts::LamraRankParts(const LamraRankFiles& files, TrainingJob& job)
    : base(trainable_model(files, job.device)),
      task{.model = base.model,
           .step = files.config.step,
           .loss = files.config.loss,
           .seed = static_cast<uint64_t>(files.config.seed)},
      leaves(trained_leaves(base.model)),
      optimizer(files.config.optim, leaves),
      reducer(values_of(leaves), files.communicator) {
  log_unused(base.unused, job.log);
}

}  // namespace trireme
