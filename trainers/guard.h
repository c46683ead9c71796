#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/config/field_count.h"

namespace trireme {

/// [guard] When a run that has left the numbers ends by itself, with DivergedError (exit code 6).
struct GuardConfig {
  std::optional<double> spike_z = 10;
  int64_t spike_memory_steps = 100;
  std::optional<double> collapse_cosine = 0.995;
  int64_t collapse_steps = 200;

  template <class V>
  void describe(V& v) {
    v.field("spike_z", spike_z,
            "End when the loss lies so many standard deviations above its running mean; null = never.")
        .positive();
    v.field("spike_memory_steps", spike_memory_steps,
            "Steps over which that mean is taken (exponentially); nothing is judged before so many are done.")
        .at_least(2);
    v.field("collapse_cosine", collapse_cosine,
            "End when the mean cosine between different candidates stays above it; null = never.")
        .between(0, 1);
    v.field("collapse_steps", collapse_steps, "For so many steps in a row.").at_least(1);
  }
};
static_assert(field_count<GuardConfig>() == 4, "describe() must list every field");

/// What the guard looks at: values of the global batch, equal on every rank.
struct StepHealth {
  int64_t step = 0;
  double loss = 0;
  double gradient_norm = 0;
  double candidate_cosine = 0;  ///< mean over pairs of different candidates
};

/// Why a run must end: the first two parts of an error's text.
struct Verdict {
  std::string required;  ///< "the loss must be finite"
  std::string got;
  bool operator==(const Verdict&) const = default;
};

/// Watches a run for losses and gradients that are not finite, for spikes of the loss, and for embeddings that have
/// collapsed to one direction. Deterministic, so every rank comes to the same verdict at the same step; what it
/// remembers goes into checkpoints.
class Guard {
 public:
  explicit Guard(const GuardConfig& config) : config_(config) {}

  /// What is wrong with this step; nullopt when nothing is.
  std::optional<Verdict> examine(const StepHealth& step);

  /// For Checkpoint::counters, under "guard.".
  std::map<std::string, double> state() const;
  /// Keys that are not there leave the beginning's values.
  void restore(const std::map<std::string, double>& counters);

 private:
  std::optional<Verdict> examine_spike(double loss);

  GuardConfig config_;
  double mean_ = 0, variance_ = 0;
  double steps_seen_ = 0, collapsed_steps_ = 0;
};

}  // namespace trireme
