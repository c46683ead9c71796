#include "trainers/schedule/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/config/field_list.h"
#include "core/error.h"

namespace trireme {

void ScheduleConfig::describe(FieldList& v) {
  v.field("kind", kind, "How the learning rate falls after warm-up: half a cosine, a straight line, or not at all.");
  v.field("warmup_steps", warmup_steps,
          "Linear ramp: step s uses s / warmup_steps of the peak, so step 0 changes nothing; null = warmup_ratio.")
      .at_least(0);
  v.field("warmup_ratio", warmup_ratio, "Length of the ramp as a part of the run, rounded up to whole steps.")
      .between(0, 1);
  v.field("min_ratio", min_ratio, "What is left of the peak at the end of the run.").between(0, 1);
}
static_assert(field_count<ScheduleConfig>() == 4, "describe() must list every field");

Schedule::Schedule(const ScheduleConfig& config, int64_t total_steps)
    : kind_(config.kind),
      min_ratio_(config.min_ratio),
      warmup_steps_(config.warmup_steps.value_or(
          static_cast<int64_t>(std::ceil(config.warmup_ratio * static_cast<double>(total_steps))))),
      total_steps_(total_steps) {
  TRIREME_ASSERT(total_steps >= 1, "a run of {} steps", total_steps);
  TRIREME_CHECK(warmup_steps_ <= total_steps_, ConfigError, "schedule",
                "the warm-up must not be longer than the run; got {} and {} steps; lower warmup_steps or train longer.",
                warmup_steps_, total_steps_);
}

double Schedule::factor(int64_t step) const {
  TRIREME_ASSERT(step >= 0 && step < total_steps_, "step {} of {}", step, total_steps_);
  if (step < warmup_steps_) return static_cast<double>(step) / static_cast<double>(warmup_steps_);
  if (kind_ == ScheduleKind::kConstant) return 1;
  const double progress = static_cast<double>(step - warmup_steps_) /
                          static_cast<double>(std::max<int64_t>(1, total_steps_ - warmup_steps_));
  const double left = kind_ == ScheduleKind::kCosine ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1 - progress;
  return left * (1 - min_ratio_) + min_ratio_;
}

}  // namespace trireme
