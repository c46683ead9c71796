#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/log.h"
#include "evaluation/validation.h"
#include "trainers/best_so_far.h"
#include "trainers/run_guard.h"
#include "trainers/run_state.h"

namespace trireme {

/// Evaluation between the steps of a run: when it is due, which step was the best so far, and whether the run should
/// end because none got better. Nothing of it reaches the training: batches, dropout and weights are those of a run
/// without it, bit for bit.
class RunValidation {
 public:
  /// Evaluates the weights as they are now. Collective; the same on every rank.
  /// not_finite: called, on every rank alike, with the place of the first result that has a NaN or infinity; it does
  /// not return.
  using Evaluate = std::function<ValidationScores(Communicator& communicator,
                                                  const std::function<void(const std::string& where)>& not_finite)>;

  /// Nothing is ever due.
  RunValidation() = default;
  /// patience: evaluations in a row without a better one that end the run.
  RunValidation(int64_t every_steps, std::optional<int64_t> patience, Evaluate evaluate)
      : every_steps_(every_steps), patience_(patience), evaluate_(std::move(evaluate)) {}

  /// Whether an evaluation follows step number `step`, the last of the run if `is_last`.
  bool due(int64_t step, bool is_last) const;
  /// After step number `step`: a line under "val/" and "val_rows/". Collective; called on the same steps whatever the
  /// data. throws DivergedError as guard.end(): results that are not finite.
  StepRecord evaluate(int64_t step, Communicator& communicator, Log& log, RunGuard& guard);

  /// The evaluation after step number `step` was the best so far.
  bool best_is(int64_t step) const { return best_.steps_done() == step + 1; }
  /// The checkpoint to pin: of the best so far. None before the first evaluation.
  std::vector<int64_t> pinned_steps() const;
  /// The patience is over.
  bool exhausted() const { return patience_ && best_.worse_evaluations() >= *patience_; }

  /// For Checkpoint::counters.
  Counters state() const { return evaluate_ ? best_.state() : Counters{}; }
  void restore(const Counters& counters);

 private:
  int64_t every_steps_ = 0;
  std::optional<int64_t> patience_;
  Evaluate evaluate_;
  BestSoFar best_;
};

}  // namespace trireme
