#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <torch/types.h>

#include "core/dist/communicator.h"
#include "data/loader/pair_batch.h"
#include "losses/info_nce.h"
#include "trainers/optim/gradient_norm.h"

namespace trireme {

/// What the steps since the last line of the curves amount to over all ranks. Sums stay on the model's device until
/// they are read, so a GPU is not waited for in between.
class StepTotals {
 public:
  StepTotals(Communicator& communicator, c10::Device device);

  /// Collective: one small all-reduce.
  void add(const InfoNceResult& result, const GradientNorm& norm, const PairBatch& batch);
  int64_t steps() const noexcept { return steps_; }

  struct Means {
    double loss = 0, gradient_norm = 0, accuracy = 0, positive_cosine = 0, negative_cosine = 0, candidate_cosine = 0;
    double excluded = 0;       ///< columns a query
    double skipped_pairs = 0;  ///< sum
    double tokens = 0, images = 0;
    double data_wait_s = 0;  ///< a step's, mean over ranks
  };
  /// Per step, and starts anew. Waits for the device.
  Means take();

  /// What a checkpoint between two lines must keep, so that a resumed run writes the lines of an unbroken one. Waits
  /// for the device.
  std::map<std::string, double> state() const;
  void restore(const std::map<std::string, double>& counters);

 private:
  Communicator& communicator_;
  torch::Tensor sums_;  ///< [11] float64
  int64_t steps_ = 0;
};

}  // namespace trireme
