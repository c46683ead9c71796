#include "data/loader/pair_loader.h"

#include <algorithm>

#include <ATen/ops/empty.h>

#include "data/loader/pair_encoder.h"
#include "data/loader/step_loader.h"
#include "data/loader/step_sampler.h"

namespace trireme {
namespace {

torch::Tensor int64_tensor(const std::vector<int64_t>& values) {
  torch::Tensor tensor = at::empty({std::ssize(values)}, torch::kInt64);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

/// This rank's share of one step while it is loaded.
class PairStep final : public StepInWork {
 public:
  PairStep(StepShare share, StepSampler& sampler, const PairEncoder& encoder, int64_t hard_negatives)
      : share_(std::move(share)),
        sampler_(sampler),
        encoder_(encoder),
        hard_negatives_(hard_negatives),
        encoded_(rows()),
        skipped_(rows()) {}

  std::size_t rows() const noexcept override { return share_.pairs.size(); }

  void load_row(std::size_t row) override {
    skipped_[row] = sampler_.read(share_, row, [&](const SampledPair& pair) {
      encoded_[row] = encoder_.encode(sampler_.source(pair).read(pair.row, sampler_.stream_of(pair), hard_negatives_),
                                      share_.step, share_.global_rows[row]);
      return encoded_[row].pair.query.id;
    });
  }

  void assemble() override;

  PairBatch batch;  ///< once assembled

 private:
  StepShare share_;
  StepSampler& sampler_;
  const PairEncoder& encoder_;
  int64_t hard_negatives_;
  std::vector<EncodedPair> encoded_;
  std::vector<std::vector<SkippedPair>> skipped_;  ///< by row
};

void PairStep::assemble() {
  batch.step = share_.step;
  batch.clashes_global = share_.clashes;
  std::vector<EncodedSequence> sequences, targets, negatives;
  std::vector<int64_t> target_ids, concept_ids, offsets{0}, positive_ids, negative_ids, negative_concepts;
  for (EncodedPair& row : encoded_) {
    sequences.push_back(std::move(row.query));
    targets.push_back(std::move(row.target));
    std::move(row.hard_negatives.begin(), row.hard_negatives.end(), std::back_inserter(negatives));
    target_ids.push_back(row.pair.target_id);
    concept_ids.push_back(row.pair.concept_id);
    positive_ids.insert(positive_ids.end(), row.pair.positive_ids.begin(), row.pair.positive_ids.end());
    offsets.push_back(std::ssize(positive_ids));
    negative_ids.insert(negative_ids.end(), row.pair.hard_negative_ids.begin(), row.pair.hard_negative_ids.end());
    negative_concepts.insert(negative_concepts.end(), row.pair.hard_negative_concepts.begin(),
                             row.pair.hard_negative_concepts.end());
    batch.query_ids.push_back(std::move(row.pair.query.id));
    batch.target_ids.push_back(std::move(row.pair.target.id));
  }
  for (auto* others : {&targets, &negatives}) std::ranges::move(*others, std::back_inserter(sequences));
  batch.sequences = pack(sequences, encoder_.pack_options());
  batch.global_row = int64_tensor(share_.global_rows);
  batch.target_id = int64_tensor(target_ids);
  batch.concept_id = int64_tensor(concept_ids);
  batch.positive_offset = int64_tensor(offsets);
  batch.positive_id = int64_tensor(positive_ids);
  const auto count = std::ssize(encoded_);
  batch.hard_negative_id = int64_tensor(negative_ids).view({count, std::ssize(negative_ids) / count});
  batch.hard_negative_concept = int64_tensor(negative_concepts).view_as(batch.hard_negative_id);
  for (auto& skipped : skipped_) std::move(skipped.begin(), skipped.end(), std::back_inserter(batch.skipped));
  encoded_.clear();
}

}  // namespace

struct PairLoader::State {
  StepSampler sampler;
  const PairEncoder encoder;
  const int64_t hard_negatives;
  StepLoader loader;  // last: its threads use the others

  State(const TrainingSet& set, const DataConfig& config, const ModelInput& model, uint64_t seed, LoaderRank rank,
        int64_t first_step)
      : sampler(set, config, seed, rank),
        encoder(config, model, seed),
        hard_negatives(config.hard_negatives),
        loader([this](int64_t step) { return open(step); }, first_step, config.loader_threads, config.queued_steps) {}

  std::unique_ptr<StepInWork> open(int64_t step) {
    StepShare share = sampler.share(step, [&](const PairSize& size) { return encoder.estimated_tokens(size); });
    return std::make_unique<PairStep>(std::move(share), sampler, encoder, hard_negatives);
  }
};

PairLoader::PairLoader(const TrainingSet& set, const DataConfig& config, const ModelInput& model, uint64_t seed,
                       LoaderRank rank, int64_t first_step)
    : state_(std::make_unique<State>(set, config, model, seed, rank, first_step)) {}

PairLoader::~PairLoader() = default;

PairBatch PairLoader::next() {
  const std::unique_ptr<StepInWork> step = state_->loader.next();
  PairBatch batch = std::move(static_cast<PairStep&>(*step).batch);
  batch.waited_s = state_->loader.last_wait_s();
  return batch;
}

double PairLoader::waited_s() const noexcept { return state_->loader.waited_s(); }

}  // namespace trireme
