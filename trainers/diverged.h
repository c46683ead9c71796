#pragma once

#include <string>
#include <vector>

#include "trainers/guard.h"
#include "trainers/run_state.h"

namespace trireme {

/// Ends the run when the guard finds the step ill: rank 0 writes RUN/diverged.json (the step, its values, the ids of
/// its own queries and targets, the newest checkpoint). throws DivergedError, on every rank alike.
void require_healthy(Guard& guard, const StepHealth& step, const std::vector<std::string>& query_ids,
                     const std::vector<std::string>& target_ids, RunState& run);

}  // namespace trireme
