#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "launch/job.h"

namespace trireme {

/// The progress of a verb that works in phases: one display after the other.
class PhaseProgress {
 public:
  /// `job` outlives it.
  explicit PhaseProgress(Job& job) : job_(job) {}
  /// `done` of `of` units of this phase; a new name of a phase ends the display of the one before.
  void show(std::string_view phase, std::string_view unit, int64_t done, int64_t of);
  /// The last word of the phase that is on.
  void finish();

 private:
  Job& job_;
  std::string phase_;
  int64_t shown_ = 0;
  std::optional<Progress> progress_;
};

}  // namespace trireme
