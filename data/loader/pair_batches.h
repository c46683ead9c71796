#pragma once

#include <cstdint>

#include "data/loader/batch_stream.h"
#include "data/loader/data_config.h"
#include "data/loader/model_input.h"
#include "data/loader/pair_batch.h"
#include "data/loader/training_set.h"

namespace trireme {

/// Batches for contrastive learning: pairs decoded, augmented, resized, tokenised and packed, up to queued_steps ahead.
/// A pure function of (files, config, seed, step, rank, ranks). set and the tokenizer outlive the stream.
/// throws ConfigError: pairs_global is not a multiple of the ranks; what PairSampler and PairEncoder refuse.
BatchStream<PairBatch> pair_batches(const TrainingSet& set, const DataConfig& config, const ModelInput& model,
                                    uint64_t seed, LoaderRank rank, int64_t first_step = 0);

}  // namespace trireme
