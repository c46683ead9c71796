#include "data/rerank/rerank_loader.h"

#include "data/loader/step_loader.h"
#include "data/rerank/rerank_encoder.h"

namespace trireme {
namespace {

/// This rank's share of one step while it is loaded.
class RerankStep final : public StepInWork {
 public:
  RerankStep(StepShare share, StepSampler& sampler, const RerankEncoder& encoder, const MinedNegatives& negatives,
             const RerankSamplesConfig& samples, uint64_t seed)
      : share_(std::move(share)),
        sampler_(sampler),
        encoder_(encoder),
        negatives_(negatives),
        samples_(samples),
        seed_(seed),
        encoded_(rows()),
        skipped_(rows()) {}

  std::size_t rows() const noexcept override { return share_.pairs.size(); }

  void load_row(std::size_t row) override {
    skipped_[row] = sampler_.read(share_, row, [&](const SampledPair& pair) {
      const PairSource& source = sampler_.source(pair);
      const RandomStream draws =
          random_stream(seed_, fmt::format("data.negatives.{}", pair.source), pair.epoch, pair.row);
      const RerankRecords records =
          draw_records(source.read(pair.row, sampler_.stream_of(pair), 0), source, negatives_, samples_, draws);
      encoded_[row] = encoder_.encode(records, share_.step, share_.global_rows[row]);
      return encoded_[row].query_id;
    });
  }

  void assemble() override {
    batch = pack_rerank(encoded_, share_.global_rows, encoder_.pack_options(), samples_.share_images);
    batch.step = share_.step;
    batch.clashes_global = share_.clashes;
    for (auto& skipped : skipped_) std::move(skipped.begin(), skipped.end(), std::back_inserter(batch.skipped));
    encoded_.clear();
  }

  RerankBatch batch;  ///< once assembled

 private:
  StepShare share_;
  StepSampler& sampler_;
  const RerankEncoder& encoder_;
  const MinedNegatives& negatives_;
  const RerankSamplesConfig& samples_;
  uint64_t seed_;
  std::vector<EncodedRerank> encoded_;
  std::vector<std::vector<SkippedPair>> skipped_;  ///< by row
};

}  // namespace

struct RerankLoader::State {
  StepSampler sampler;
  const RerankEncoder encoder;
  const MinedNegatives& negatives;
  const RerankSamplesConfig samples;
  const uint64_t seed;
  StepLoader loader;  // last: its threads use the others

  State(const TrainingSet& set, const DataConfig& config, const RerankSamplesConfig& samples_config,
        const MinedNegatives& mined, const ModelInput& model, uint64_t run_seed, LoaderRank rank, int64_t first_step)
      : sampler(set, config, run_seed, rank),
        encoder(config, samples_config.spacing, model, run_seed),
        negatives(mined),
        samples(samples_config),
        seed(run_seed),
        loader([this](int64_t step) { return open(step); }, first_step, config.loader_threads, config.queued_steps) {}

  std::unique_ptr<StepInWork> open(int64_t step) {
    StepShare share = sampler.share(step, [&](const PairSize& size) { return encoder.estimated_tokens(size); });
    return std::make_unique<RerankStep>(std::move(share), sampler, encoder, negatives, samples, seed);
  }
};

RerankLoader::RerankLoader(const TrainingSet& set, const DataConfig& config, const RerankSamplesConfig& samples,
                           const MinedNegatives& negatives, const ModelInput& model, uint64_t seed, LoaderRank rank,
                           int64_t first_step)
    : state_(std::make_unique<State>(set, config, samples, negatives, model, seed, rank, first_step)) {}

RerankLoader::~RerankLoader() = default;

RerankBatch RerankLoader::next() {
  const std::unique_ptr<StepInWork> step = state_->loader.next();
  RerankBatch batch = std::move(static_cast<RerankStep&>(*step).batch);
  batch.waited_s = state_->loader.last_wait_s();
  return batch;
}

}  // namespace trireme
