#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/loader/pair_batch.h"
#include "losses/info_nce.h"
#include "trainers/guard.h"
#include "trainers/optim/gradient_norm.h"
#include "trainers/running_sums.h"

namespace trireme {

/// What the steps since the last line of the curves amount to over all ranks.
class StepTotals {
 public:
  StepTotals(Communicator& communicator, c10::Device device);

  /// Collective: one small all-reduce.
  void add(const InfoNceResult& result, const GradientNorm& norm, const PairBatch& batch);
  int64_t steps() const noexcept { return sums_.steps(); }

  struct Means {
    double loss = 0, gradient_norm = 0, accuracy = 0, positive_cosine = 0, negative_cosine = 0, candidate_cosine = 0;
    double excluded = 0;       ///< columns a query
    double skipped_pairs = 0;  ///< sum
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
