#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "trainers/guard.h"
#include "trainers/measured.h"
#include "trainers/optim/gradient_norm.h"
#include "trainers/running_sums.h"

namespace trireme {

/// What the updates since the last line of the curves amount to over all ranks.
class StepTotals {
 public:
  /// curves: the first is the loss; "candidate_cosine" among them is looked at by the guard.
  StepTotals(Communicator& communicator, c10::Device device, std::vector<Curve> curves);

  /// Collective: one small all-reduce.
  void add(const std::vector<Measurement>& measured, const GradientNorm& norm, const BatchFacts& facts);
  int64_t updates() const noexcept { return sums_.steps(); }

  struct Means {
    NamedValues curves;  ///< "train/NAME", in their order
    double loss = 0;     ///< the first of them
    double gradient_norm = 0;
    double skipped = 0;  ///< sum
    double tokens = 0, images = 0;
    double data_wait_s = 0;  ///< mean over ranks
  };
  /// Per update, and starts anew. Waits for the device.
  Means take();
  /// Every update since the last call, for the guard. Waits for the device.
  std::vector<StepHealth> read_updates();

  /// As RunningSums.
  std::map<std::string, double> state() const { return sums_.state(); }
  void restore(const std::map<std::string, double>& counters, Log& log) { sums_.restore(counters, log); }

 private:
  double ranks_;
  std::vector<Curve> curves_;
  RunningSums sums_;
  std::vector<int64_t> unread_steps_;
};

}  // namespace trireme
