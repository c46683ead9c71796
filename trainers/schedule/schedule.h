#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace trireme {

class FieldList;

enum class ScheduleKind { kCosine, kLinear, kConstant };
constexpr auto choice_names(ScheduleKind) {
  return std::to_array<std::pair<ScheduleKind, std::string_view>>(
      {{ScheduleKind::kCosine, "cosine"}, {ScheduleKind::kLinear, "linear"}, {ScheduleKind::kConstant, "constant"}});
}

/// [schedule] The learning rate over the run, as a multiple of optim.peak_lr. The defaults are LamRA's.
struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::kCosine;
  std::optional<int64_t> warmup_steps = std::nullopt;
  double warmup_ratio = 0.03;
  double min_ratio = 0;

  void describe(FieldList& v);
};

/// The learning rate's factor at each step, a pure function of the step: resuming needs no state. As in transformers'
/// get_cosine_with_min_lr_schedule_with_warmup, get_linear_schedule_with_warmup, get_constant_schedule_with_warmup.
class Schedule {
 public:
  /// total_steps: length of the whole run, >= 1.
  /// throws ConfigError: a warm-up longer than the run.
  Schedule(const ScheduleConfig& config, int64_t total_steps);
  /// step: 0 .. total_steps - 1. In [0, 1].
  double factor(int64_t step) const;
  int64_t warmup_steps() const noexcept { return warmup_steps_; }

 private:
  ScheduleKind kind_;
  double min_ratio_;
  int64_t warmup_steps_, total_steps_;
};

}  // namespace trireme
