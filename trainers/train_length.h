#pragma once

#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "core/config/field_count.h"
#include "core/config/report.h"

namespace trireme {

/// [train] How long, and what is told on the way.
struct TrainLengthConfig {
  std::optional<int64_t> steps;
  std::optional<double> epochs;
  int64_t log_every_steps = 10;
  int64_t preflight_steps = 4;

  template <class V>
  void describe(V& v) {
    v.field("steps", steps, "Length of the run in steps; or give epochs.").at_least(1);
    v.field("epochs", epochs, "Length of the run in passes over all pairs; or give steps.").positive();
    v.field("log_every_steps", log_every_steps, "Steps between two lines of the curves, which are means over them.")
        .at_least(1);
    v.field("preflight_steps", preflight_steps,
            "Before the run, the longest of so many batches is tried, to find too little memory early; 0 = none.")
        .between(0, 1000)
        .no_effect_on_values();
  }
  void check(Problems& problems) const {
    if (steps.has_value() == epochs.has_value()) {
      problems.add("steps",
                   fmt::format("or epochs must be given, not both; got {}; give one", steps ? "both" : "none"));
    }
  }
};
static_assert(field_count<TrainLengthConfig>() == 4, "describe() must list every field");

/// The run's length; one step at least.
int64_t total_steps(const TrainLengthConfig& train, int64_t steps_per_epoch);

}  // namespace trireme
