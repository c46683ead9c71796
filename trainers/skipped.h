#pragma once

#include <cstdint>
#include <vector>

#include "core/log.h"
#include "data/loader/step_sampler.h"
#include "data/loader/training_set.h"

namespace trireme {

/// Tells of the pairs that a step's batch was to hold and could not.
void log_skipped(int64_t step, const std::vector<SkippedPair>& skipped, Log& log);

/// Tells of what the sources left out, or took although it contradicts itself, as their switches allow.
void log_allowed(const TrainingSet& set, Log& log);

}  // namespace trireme
