#pragma once

#include <cstdint>
#include <vector>

#include "core/log.h"
#include "data/loader/step_sampler.h"

namespace trireme {

/// Tells of the pairs that a step's batch was to hold and could not.
void log_skipped(int64_t step, const std::vector<SkippedPair>& skipped, Log& log);

}  // namespace trireme
