#pragma once

#include "core/dist/reducer.h"
#include "data/loader/training_set.h"
#include "data/rerank/rerank_loader.h"
#include "data/sources/mined_negatives.h"
#include "trainers/lamra_rank.h"
#include "trainers/optim/optimizer.h"

namespace trireme {

/// What a LamRA-Rank run is built of before its first step.
struct LamraRankParts {
  /// Checks files before weights are read, and what trains before anything is trained. Collective.
  LamraRankParts(const LamraRankConfig& config, TrainingJob& job);
  LamraRankParts(const LamraRankParts&) = delete;
  LamraRankParts& operator=(const LamraRankParts&) = delete;

  RerankLoader loader(int64_t first_step) const;

  const LamraRankConfig& config;
  Communicator& communicator;
  MinedNegatives negatives;
  TrainingSet set;
  TrainingModel base;
  RerankSamplesConfig samples;  ///< the config's; pictures shared only where the vision tower is frozen
  RerankTask task;
  NamedTensors leaves;  ///< what trains
  Optimizer optimizer;
  GradientReducer reducer;
};

}  // namespace trireme
