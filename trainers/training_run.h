#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/distributed/reducer.h"
#include "core/progress.h"
#include "trainers/measured.h"
#include "trainers/optim/optimizer.h"
#include "trainers/run_config.h"
#include "trainers/run_guard.h"
#include "trainers/run_state.h"
#include "trainers/run_validation.h"
#include "trainers/step_totals.h"
#include "trainers/trained_tensors.h"
#include "trainers/training_job.h"

namespace trireme {

/// What is known of a run's steps before a weight is read.
struct StepPlan {
  std::string_view unit;  ///< what a step is counted in: "pairs"
  int64_t units_per_step;
  std::vector<Curve> curves;
  int64_t steps;  ///< of the whole run
  Schedule schedule;
};

/// What a training loop has beside its recipe: reducer, optimiser, schedule, and from open() on the run directory with
/// its curves, guard, validation, checkpoints. Everything is collective.
class TrainingRun {
 public:
  /// throws ConfigError: optim.lr_factors do not fit.
  TrainingRun(const RunConfig& config, StepPlan plan, TrainedTensors trained, TrainingJob& job);

  /// Says that a batch of so many tokens went forward and back, and where this process's memory is.
  void log_preflight(int64_t tokens);
  /// Takes or makes the run directory and restores the newest valid checkpoint, if there is one: to the bits of an
  /// unbroken run. Returns the first step to be done. throws what RunDirectory throws.
  int64_t open(RunIdentity identity, RunValidation validation);

  bool goes_on() const { return !stops_ && step_ < plan_.steps && !validation_.exhausted(); }
  double learning_rate() const { return config_.optim.peak_lr * plan_.schedule.factor(step_); }
  GradientNorm gradient_norm() const;
  /// Changes the weights by the reducer's gradients; keeps what the update measured for the curves and the guard.
  void update(const GradientNorm& norm, const std::vector<Measurement>& measured, BatchFacts facts);
  /// After a step's last update: its line of the curves, evaluation and checkpoint where they are due; whether to stop.
  /// values_now: further values of a line. throws DivergedError: the guard's verdict. DataError: disk full.
  template <class ValuesNow>
  void end_step(const ValuesNow& values_now) {
    ++steps_in_line_;
    if (line_is_due()) write_line(values_now());
    finish_step();
  }
  /// How the run ended. The last checkpoint is on disk.
  TrainingEnd finish();

  GradientReducer reducer;
  Optimizer optimizer;
  StepTotals totals;

 private:
  bool is_last() const { return step_ + 1 == plan_.steps; }
  bool line_is_due() const;
  void write_line(NamedValues values_now);
  void finish_step();
  void write_checkpoint(int64_t steps_done);

  const RunConfig& config_;
  StepPlan plan_;
  TrainedTensors trained_;
  TrainingJob& job_;
  RunValidation validation_;
  std::optional<RunState> state_;
  std::optional<RunGuard> guard_;
  std::optional<Progress> progress_;
  int64_t step_ = 0, steps_in_line_ = 0;
  bool stops_ = false;
  std::chrono::steady_clock::time_point line_begin_;
  std::optional<LastCheckpoint> last_checkpoint_;  // last: on its way out it writes what the others hold
};

}  // namespace trireme
