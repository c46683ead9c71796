#pragma once

#include <cstdint>

#include "core/distributed/communicator.h"
#include "core/distributed/reducer.h"
#include "core/tensor.h"
#include "data/rerank/rerank_batch.h"
#include "losses/rerank.h"
#include "models/lmm.h"

namespace trireme {

class FieldList;

/// [step] How one step's gradient is computed. No choice here changes the gradient, beyond rounding.
struct RerankStepConfig {
  int64_t micro_batch_tokens = 8192;
  bool recompute_blocks = false;
  bool overlap_reduction = true;

  void describe(FieldList& v);
};

/// What is not in the batch: the same for all steps of a run.
struct RerankTask {
  const Lmm& model;
  const RerankStepConfig& step;
  const RerankLossConfig& loss;
  uint64_t seed = 0;  ///< of dropout
};

/// Of this rank's share; the SUM over ranks is the global batch's. Each a 0-dim tensor on the model's device.
struct RerankStepResult {
  RerankLossResult loss;                         ///< without gradient
  torch::Tensor pointwise_right, pointwise_all;  ///< pairs where the right one of Yes and No is scored higher; pairs
  torch::Tensor listwise_right, listwise_all;    ///< lists where the positive's number is scored highest; lists
};

/// The loss of the global batch and its gradient: the mean is over all of the step's answer tokens, counted before the
/// first micro-batch, so it does not depend on how sequences are cut into micro-batches or dealt to ranks. The
/// reducer's gradients then hold the sum over ranks. The vocabulary's scores are computed for label rows only. Shared
/// pictures are encoded once, without gradient. Dropout masks are a function of (seed, step, sequence).
/// Collective; what is called depends on nothing in the batch.
/// throws what count_answers, rerank_loss, the model and the reducer throw.
RerankStepResult rerank_step(const RerankTask& task, const RerankBatch& batch, GradientReducer& reducer,
                             Communicator& communicator);

}  // namespace trireme
