#pragma once

#include <cstdint>

#include "data/loader/batch_stream.h"
#include "data/rerank/rerank_batch.h"

namespace trireme {

/// pair_batches()'s counterpart for LamRA-Rank: queries with what was drawn of their mined negatives, as answered
/// prompts. data.sampler.pairs_global counts queries.
/// set, negatives and the tokenizer outlive the stream; set leaves out what negatives does not cover.
/// throws what StepSampler and RerankEncoder refuse.
BatchStream<RerankBatch> rerank_batches(const TrainingSet& set, const DataConfig& config,
                                        const RerankSamplesConfig& samples, const MinedNegatives& negatives,
                                        const ModelInput& model, uint64_t seed, LoaderRank rank,
                                        int64_t first_step = 0);

}  // namespace trireme
