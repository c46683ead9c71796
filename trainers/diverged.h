#pragma once

#include "data/loader/pair_batch.h"
#include "trainers/guard.h"
#include "trainers/run_state.h"

namespace trireme {

/// Ends the run when the guard finds the step ill: rank 0 writes RUN/diverged.json (the step, its values, the ids of
/// its own pairs, the newest checkpoint). throws DivergedError, on every rank alike.
void require_healthy(Guard& guard, const StepHealth& step, const PairBatch& batch, RunState& run);

}  // namespace trireme
