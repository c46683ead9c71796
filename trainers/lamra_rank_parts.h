#pragma once

#include <memory>

#include "core/distributed/reducer.h"
#include "data/loader/training_set.h"
#include "data/rerank/rerank_batches.h"
#include "data/sources/mined_negatives.h"
#include "trainers/lamra_rank.h"
#include "trainers/optim/optimizer.h"
#include "trainers/schedule/schedule.h"

namespace trireme {

/// What a LamRA-Rank run is built of before a weight is read.
struct LamraRankFiles {
  /// As LamraRetFiles.
  LamraRankFiles(const LamraRankConfig& config, TrainingJob& job);
  LamraRankFiles(const LamraRankFiles&) = delete;
  LamraRankFiles& operator=(const LamraRankFiles&) = delete;

  std::unique_ptr<BatchStream<RerankBatch>> loader(int64_t first_step) const;

  const LamraRankConfig& config;
  Communicator& communicator;
  ModelInputs inputs;
  MinedNegatives negatives;
  TrainingSet set;
  int64_t steps;  ///< of the whole run
  Schedule schedule;
  RerankSamplesConfig samples;  ///< the config's; pictures shared only where the vision tower is frozen
  std::unique_ptr<BatchStream<RerankBatch>> first_batches;  ///< loader(0), begun while weights are read; for one taker
};

/// What is built of them with the weights.
struct LamraRankParts {
  /// Waits until every rank has checked its files. Collective. files outlives the parts.
  LamraRankParts(const LamraRankFiles& files, TrainingJob& job);
  LamraRankParts(const LamraRankParts&) = delete;
  LamraRankParts& operator=(const LamraRankParts&) = delete;

  TrainingModel base;
  RerankTask task;
  NamedTensors leaves;  ///< what trains
  Optimizer optimizer;
  GradientReducer reducer;
};

}  // namespace trireme
