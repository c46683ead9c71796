#include "trainers/lamra_rank_parts.h"

#include "core/dist/agreement.h"
#include "core/error.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "trainers/run_state.h"
#include "trainers/what_trains.h"

namespace trireme {
namespace {

MinedNegatives open_negatives(const LamraRankConfig& config, TrainingJob& job) {
  MinedNegatives negatives(config.samples.hard_negatives);
  require_fresh(negatives.info(), config.samples, job.communicator, job.log);
  return negatives;
}

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

void require_fresh(const HardNegativesInfo& info, const RerankSamplesConfig& samples, Communicator& communicator,
                   Log& log) {
  if (!samples.retriever) return;
  std::string hashes;
  if (communicator.rank() == 0) {
    const HubCheckpoint retriever(*samples.retriever);
    const std::string adapter =
        samples.retriever_adapter ? read_adapter(*samples.retriever_adapter, retriever.config()).sha256 : "";
    hashes = fmt::format("{} {}", retriever.weights_sha256(), adapter);
  }
  hashes = broadcast_string(communicator, hashes, 0);
  const std::string mined = fmt::format("{} {}", info.model_sha256, info.adapter_sha256);
  if (hashes == mined) return;
  const std::string file = samples.hard_negatives.string();
  TRIREME_CHECK(samples.allow_stale, DataError, file,
                "negatives must be mined with samples.retriever, weights and adapter {}; got those of {}, {}; mine "
                "again, or set samples.allow_stale: true.",
                hashes, info.model, mined);
  if (communicator.rank() == 0) {
    log.warning("{} was mined with {}, not with {}: its negatives are stale, as allowed", file, info.model,
                samples.retriever->string());
  }
}

LamraRankParts::LamraRankParts(const LamraRankConfig& run_config, TrainingJob& job)
    : config(run_config),
      communicator(job.communicator),
      negatives(open_negatives(config, job)),
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
