#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/rerank/rerank_batch.h"
#include "trainers/guard.h"
#include "trainers/optim/gradient_norm.h"
#include "trainers/rerank_step.h"
#include "trainers/running_sums.h"

namespace trireme {

/// What LamRA-Rank's steps since the last line of the curves amount to over all ranks.
class RerankTotals {
 public:
  RerankTotals(Communicator& communicator, c10::Device device);

  /// Collective: one small all-reduce.
  void add(const RerankStepResult& result, const GradientNorm& norm, const RerankBatch& batch);
  int64_t steps() const noexcept { return sums_.steps(); }

  struct Means {
    double loss = 0, pointwise_loss = 0, listwise_loss = 0, gradient_norm = 0;
    double pointwise_accuracy = 0, listwise_accuracy = 0;
    double skipped_queries = 0;  ///< sum
    double tokens = 0, images = 0;
    double data_wait_s = 0;  ///< a step's, mean over ranks
  };
  /// Per step, and starts anew. Waits for the device.
  Means take();
  /// Every step since the last call, for the guard. Waits for the device.
  std::vector<StepHealth> read_steps();

  /// As RunningSums.
  std::map<std::string, double> state() const { return sums_.state(); }
  void restore(const std::map<std::string, double>& counters, Log& log) { sums_.restore(counters, log); }

 private:
  double ranks_;
  RunningSums sums_;
  std::vector<int64_t> unread_steps_;
};

}  // namespace trireme
