#pragma once

#include <memory>
#include <optional>

#include "core/distributed/reducer.h"
#include "data/loader/pair_batches.h"
#include "data/loader/training_set.h"
#include "data/sources/mined_negatives.h"
#include "trainers/lamra_ret.h"
#include "trainers/optim/optimizer.h"
#include "trainers/schedule/schedule.h"

namespace trireme {

/// What a LamRA-Ret run is built of before a weight is read; the recipe and its benchmark start from the same.
struct LamraRetFiles {
  /// Opens and checks the files, the run's length, and against the headers of the weights what trains: all that config
  /// and files can be refused for. Collective. throws ConfigError, DataError.
  LamraRetFiles(const LamraRetConfig& config, TrainingJob& job);
  LamraRetFiles(const LamraRetFiles&) = delete;
  LamraRetFiles& operator=(const LamraRetFiles&) = delete;

  std::unique_ptr<BatchStream<PairBatch>> loader(int64_t first_step) const;

  const LamraRetConfig& config;
  Communicator& communicator;
  ModelInputs inputs;
  std::optional<MinedNegatives> negatives;
  TrainingSet set;
  int64_t steps;  ///< of the whole run
  Schedule schedule;
  std::unique_ptr<BatchStream<PairBatch>> first_batches;  ///< loader(0), begun while weights are read; for one taker
};

/// What is built of them with the weights.
struct LamraRetParts {
  /// Waits until every rank has checked its files. Collective. files outlives the parts.
  LamraRetParts(const LamraRetFiles& files, TrainingJob& job);
  LamraRetParts(const LamraRetParts&) = delete;
  LamraRetParts& operator=(const LamraRetParts&) = delete;

  TrainingModel base;
  ContrastiveTask task;
  NamedTensors leaves;  ///< what trains; a learned temperature first
  Optimizer optimizer;
  GradientReducer reducer;
};

}  // namespace trireme
