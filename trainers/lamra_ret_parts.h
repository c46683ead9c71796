#pragma once

#include <optional>

#include "core/dist/reducer.h"
#include "data/loader/pair_loader.h"
#include "data/loader/training_set.h"
#include "data/sources/mined_negatives.h"
#include "trainers/lamra_ret.h"
#include "trainers/optim/optimizer.h"

namespace trireme {

/// What a LamRA-Ret run is built of before its first step; the recipe and its benchmark start from the same.
struct LamraRetParts {
  /// Checks files before weights are read, and what trains before anything is trained. Collective.
  LamraRetParts(const LamraRetConfig& config, TrainingJob& job);
  LamraRetParts(const LamraRetParts&) = delete;
  LamraRetParts& operator=(const LamraRetParts&) = delete;

  PairLoader loader(int64_t first_step) const;

  const LamraRetConfig& config;
  Communicator& communicator;
  std::optional<MinedNegatives> negatives;
  TrainingSet set;
  TrainingModel base;
  ContrastiveTask task;
  NamedTensors leaves;  ///< what trains; a learned temperature first
  Optimizer optimizer;
  GradientReducer reducer;
};

}  // namespace trireme
