#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/log.h"
#include "data/loader/data_config.h"
#include "evaluation/validation.h"
#include "trainers/model_source.h"
#include "trainers/run_guard.h"
#include "trainers/run_state.h"

namespace trireme {

/// Evaluation between the steps of a run: when it is due, which step was the best so far, and whether the run should
/// end because none got better. Without a [validation] section nothing is ever due.
/// Nothing of it reaches the training: batches, dropout and weights are those of a run without it, bit for bit.
class RunValidation {
 public:
  /// Opens the benchmark and checks it against the model; inputs are made as `data` makes them for training, without
  /// augmentation. Needs no weights; borrows `model`.
  /// throws what Validation and require_fits throw.
  RunValidation(const std::optional<ValidationConfig>& config, const DataConfig& data, const ModelInputs& model);
  ~RunValidation();

  /// Whether an evaluation follows step number `step`, the last of the run if `is_last`.
  bool due(int64_t step, bool is_last) const;
  /// Evaluates `trained`, LoRA included, as it is after step number `step`: a line under "val/" and "val_rows/".
  /// Collective; the same on every rank, and called on the same steps whatever the data.
  /// throws DivergedError as guard.end(): embeddings that are not finite.
  StepRecord evaluate(int64_t step, const Lmm& trained, Communicator& communicator, Log& log, RunGuard& guard);

  /// The evaluation after step number `step` was the best so far.
  bool best_is(int64_t step) const;
  /// The checkpoint to pin: of the best so far. None before the first evaluation.
  std::vector<int64_t> pinned_steps() const;
  /// config.patience is over.
  bool exhausted() const;

  /// For Checkpoint::counters.
  Counters state() const;
  void restore(const Counters& counters);

 private:
  struct State;
  std::unique_ptr<State> state_;  ///< nullptr without the section
};

}  // namespace trireme
