#include "data/loader/pair_batches.h"

#include <algorithm>
#include <iterator>

#include <ATen/ops/tensor.h>

#include "data/loader/pair_encoder.h"

namespace trireme {
namespace {

PairBatch pack_pairs(std::vector<EncodedPair> pairs, const std::vector<int64_t>& global_rows,
                     const PackOptions& options) {
  PairBatch batch;
  std::vector<EncodedSequence> sequences, targets, negatives;
  std::vector<int64_t> target_ids, concept_ids, offsets{0}, positive_ids, negative_ids, negative_concepts;
  for (EncodedPair& row : pairs) {
    sequences.push_back(std::move(row.query));
    targets.push_back(std::move(row.target));
    std::ranges::move(row.hard_negatives, std::back_inserter(negatives));
    target_ids.push_back(row.pair.target_id);
    concept_ids.push_back(row.pair.concept_id);
    std::ranges::copy(row.pair.positive_ids, std::back_inserter(positive_ids));
    offsets.push_back(std::ssize(positive_ids));
    std::ranges::copy(row.pair.hard_negative_ids, std::back_inserter(negative_ids));
    std::ranges::copy(row.pair.hard_negative_concepts, std::back_inserter(negative_concepts));
    batch.query_ids.push_back(std::move(row.pair.query.id));
    batch.target_ids.push_back(std::move(row.pair.target.id));
  }
  for (auto* others : {&targets, &negatives}) std::ranges::move(*others, std::back_inserter(sequences));
  batch.sequences = pack(sequences, options);
  batch.global_row = at::tensor(global_rows, torch::kInt64);
  batch.target_id = at::tensor(target_ids, torch::kInt64);
  batch.concept_id = at::tensor(concept_ids, torch::kInt64);
  batch.positive_offset = at::tensor(offsets, torch::kInt64);
  batch.positive_id = at::tensor(positive_ids, torch::kInt64);
  const auto count = std::ssize(pairs);
  batch.hard_negative_id = at::tensor(negative_ids, torch::kInt64).view({count, std::ssize(negative_ids) / count});
  batch.hard_negative_concept = at::tensor(negative_concepts, torch::kInt64).view_as(batch.hard_negative_id);
  return batch;
}

}  // namespace

BatchStream<PairBatch> pair_batches(const TrainingSet& set, const DataConfig& config, const ModelInput& model,
                                    uint64_t seed, LoaderRank rank, int64_t first_step) {
  const auto encoder = std::make_shared<const PairEncoder>(config, model, seed);
  return {std::make_shared<StepSampler>(set, config, seed, rank,
                                        [encoder](const PairSize& size) { return encoder->estimated_tokens(size); }),
          [encoder](StepSampler::Row row) { return encoder->encode(std::move(row.pair), row.step, row.global_row); },
          [encoder](std::vector<EncodedPair> rows, const StepShare& share) {
            return pack_pairs(std::move(rows), share.global_rows, encoder->pack_options());
          },
          {.threads = config.loader_threads, .queued = config.queued_steps, .first = first_step}};
}

}  // namespace trireme
