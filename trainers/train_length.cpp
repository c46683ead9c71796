#include "trainers/train_length.h"

#include <algorithm>
#include <cmath>

#include "core/config/field_list.h"

namespace trireme {

void TrainLengthConfig::describe(FieldList& v) {
  v.field("steps", steps, "Length of the run in steps; or give epochs.").at_least(1);
  v.field("epochs", epochs, "Length of the run in passes over all pairs; or give steps.").positive();
  v.field("log_every_steps", log_every_steps, "Steps between two lines of the curves, which are means over them.")
      .at_least(1);
  v.field("preflight_steps", preflight_steps,
          "Before the run, the longest of so many batches is tried, to find too little memory early; 0 = none.")
      .between(0, 1000)
      .no_effect_on_values();
}
static_assert(field_count<TrainLengthConfig>() == 4, "describe() must list every field");

void TrainLengthConfig::check(Problems& problems) const {
  if (steps.has_value() == epochs.has_value()) {
    problems.add("steps", fmt::format("or epochs must be given, not both; got {}; give one", steps ? "both" : "none"));
  }
}

void check_warmup(const ScheduleConfig& schedule, const TrainLengthConfig& train, Problems& problems) {
  if (schedule.warmup_steps && train.steps && *schedule.warmup_steps > *train.steps) {
    problems.add("schedule.warmup_steps",
                 fmt::format("must be at most train.steps, {}; got {}; lower it, or train longer", *train.steps,
                             *schedule.warmup_steps));
  }
}

int64_t total_steps(const TrainLengthConfig& train, int64_t steps_per_epoch) {
  if (train.steps) return *train.steps;
  return std::max<int64_t>(1, std::llround(*train.epochs * static_cast<double>(steps_per_epoch)));
}

}  // namespace trireme
