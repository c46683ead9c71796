#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace trireme {

class FieldList;

/// [guard] When a run that has left the numbers ends by itself, with DivergedError (exit code 6).
struct GuardConfig {
  std::optional<double> spike_z = 10;
  int64_t spike_memory_steps = 100;
  std::optional<double> collapse_cosine = 0.995;
  int64_t collapse_steps = 200;

  void describe(FieldList& v);
};

/// What the guard looks at: values of the global batch, equal on every rank.
struct StepHealth {
  int64_t step = 0;
  double loss = 0;
  double gradient_norm = 0;
  double candidate_cosine = 0;  ///< mean over pairs of different candidates
};

/// Why a run must end: the first two parts of an error's text.
struct Divergence {
  std::string required;  ///< "the loss must be finite"
  std::string got;
  bool operator==(const Divergence&) const = default;
};

/// Watches a run for losses and gradients that are not finite, for spikes of the loss, and for embeddings that have
/// collapsed to one direction. Deterministic, so every rank comes to the same verdict at the same step; what it
/// remembers goes into checkpoints.
class Guard {
 public:
  explicit Guard(const GuardConfig& config) : config_(config) {}

  /// What is wrong with this step; nullopt when nothing is.
  std::optional<Divergence> examine(const StepHealth& step);

  /// For Checkpoint::counters, under "guard.".
  std::map<std::string, double> state() const;
  /// Keys that are not there leave the beginning's values.
  void restore(const std::map<std::string, double>& counters);

 private:
  std::optional<Divergence> examine_spike(double loss);

  GuardConfig config_;
  double mean_ = 0, variance_ = 0;
  double steps_seen_ = 0, collapsed_steps_ = 0;
};

}  // namespace trireme
