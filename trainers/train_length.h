#pragma once

#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "core/config/report.h"
#include "trainers/schedule/schedule.h"

namespace trireme {

class FieldList;

/// [train] How long, and what is told on the way.
struct TrainLengthConfig {
  std::optional<int64_t> steps;
  std::optional<double> epochs;
  int64_t log_every_steps = 10;
  int64_t preflight_steps = 4;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// A warm-up longer than the run, where both are given in steps; where they are not, Schedule refuses it.
void check_warmup(const ScheduleConfig& schedule, const TrainLengthConfig& train, Problems& problems);

/// The run's length; one step at least.
int64_t total_steps(const TrainLengthConfig& train, int64_t steps_per_epoch);

}  // namespace trireme
