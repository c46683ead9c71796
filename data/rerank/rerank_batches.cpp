#include "data/rerank/rerank_batches.h"

#include "data/rerank/rerank_encoder.h"

namespace trireme {

BatchStream<RerankBatch> rerank_batches(const TrainingSet& set, const DataConfig& config,
                                        const RerankSamplesConfig& samples, const MinedNegatives& negatives,
                                        const ModelInput& model, uint64_t seed, LoaderRank rank, int64_t first_step) {
  const auto encoder = std::make_shared<const RerankEncoder>(config, samples.spacing, model, seed);
  return {
      std::make_shared<StepSampler>(set, config, seed, rank,
                                    [encoder](const PairSize& size) { return encoder->estimated_tokens(size); }),
      [encoder, samples, &negatives, seed](StepSampler::Row row) {
        const SampledPair& drawn = row.drawn;
        const RandomStream draws =
            random_stream(seed, fmt::format("data.negatives.{}", drawn.source), drawn.epoch, drawn.row);
        return encoder->encode(draw_records(std::move(row.pair), row.source, negatives, samples, draws), row.step,
                               row.global_row);
      },
      [encoder, share_images = samples.share_images](const std::vector<EncodedRerank>& rows, const StepShare& share) {
        return pack_rerank(rows, share.global_rows, encoder->pack_options(), share_images);
      },
      {.threads = config.loader_threads, .queued = config.queued_steps, .first = first_step}};
}

}  // namespace trireme
