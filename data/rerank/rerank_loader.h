#pragma once

#include <cstdint>
#include <memory>

#include "data/loader/step_sampler.h"
#include "data/rerank/rerank_batch.h"

namespace trireme {

/// PairLoader's counterpart for LamRA-Rank: this rank's share of each step's global batch, in order, from `first_step`
/// on and without end. What a batch holds is a pure function of (files, config, seed, step, rank, ranks); the union
/// over ranks does not depend on their number. data.sampler.pairs_global counts queries.
class RerankLoader {
 public:
  /// set, negatives and the tokenizer outlive the loader; set leaves out what negatives does not cover.
  /// throws what StepSampler and RerankEncoder refuse.
  RerankLoader(const TrainingSet& set, const DataConfig& config, const RerankSamplesConfig& samples,
               const MinedNegatives& negatives, const ModelInput& model, uint64_t seed, LoaderRank rank,
               int64_t first_step = 0);
  ~RerankLoader();  ///< stops the threads, whatever is still to come
  RerankLoader(const RerankLoader&) = delete;
  RerankLoader& operator=(const RerankLoader&) = delete;

  /// throws as PairLoader::next().
  RerankBatch next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
