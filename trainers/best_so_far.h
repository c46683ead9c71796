#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace trireme {

/// Remembers which evaluation of a run was the best: more is better, and of equal ones the first. Its memory goes
/// into checkpoints, so a resumed run goes on as an unbroken one.
class BestSoFar {
 public:
  /// The value after `steps_done` steps.
  void add(int64_t steps_done, double value);

  /// Of the best; nullopt before the first evaluation.
  std::optional<int64_t> steps_done() const noexcept { return steps_done_; }
  double value() const noexcept { return value_; }
  /// In a row, since the best.
  int64_t worse_evaluations() const noexcept { return worse_evaluations_; }

  /// For Checkpoint::counters, under "best."; nothing before the first evaluation.
  std::map<std::string, double> state() const;
  void restore(const std::map<std::string, double>& counters);

 private:
  std::optional<int64_t> steps_done_;
  double value_ = 0;
  int64_t worse_evaluations_ = 0;
};

}  // namespace trireme
