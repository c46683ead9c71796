#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/named_tensors.h"
#include "trainers/guard.h"
#include "trainers/measured.h"
#include "trainers/run_state.h"

namespace trireme {

/// The guard of a run: judges every step, though values are read from the device only where a line of the curves or a
/// checkpoint is written, and leaves evidence. Nothing is written of a run that has left the numbers: what goes into
/// checkpoints and validations is examined before. Every rank comes to the same end at the same step.
class RunGuard {
 public:
  RunGuard(const GuardConfig& config, RunState& run) : guard_(config), run_(run) {}

  /// Who is in the update, until it is examined.
  void add(BatchFacts facts) { unexamined_.push_back(std::move(facts)); }

  /// The steps added since the last call, in order. throws DivergedError as end().
  void examine(const std::vector<StepHealth>& steps);
  /// The same, and the weights that the last of them has left: before they are kept or evaluated. Cost: one pass over
  /// the weights.
  void examine(const std::vector<StepHealth>& steps, const NamedTensors& weights);

  /// Ends the run after the last step examined: once the newest checkpoint is on disk, rank 0 writes RUN/diverged.json
  /// (the step, its values, the ids of its own queries and targets, the newest checkpoint). throws DivergedError.
  /// examine() then refuses whatever comes, as our bug: nothing of the run is to be kept on the way out.
  [[noreturn]] void end(const Divergence& verdict);

  /// Guard's own.
  Counters state() const { return guard_.state(); }
  void restore(const Counters& counters) { guard_.restore(counters); }

 private:
  Guard guard_;
  RunState& run_;
  std::vector<BatchFacts> unexamined_;  ///< in order
  StepHealth last_;
  BatchFacts last_facts_;
  bool ended_ = false;
};

}  // namespace trireme
