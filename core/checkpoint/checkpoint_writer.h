#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <optional>

#include "core/checkpoint/checkpoint.h"
#include "core/config/field_count.h"

namespace trireme {

/// [checkpoint] When checkpoints are written and which stay.
struct CheckpointConfig {
  int64_t every_steps = 500;
  int64_t keep_last = 2;
  std::optional<int64_t> keep_every = std::nullopt;

  template <class V>
  void describe(V& v) {
    v.field("every_steps", every_steps, "Steps between checkpoints; one more is written at the end of the run.")
        .positive()
        .no_effect_on_values();
    v.field("keep_last", keep_last, "How many of the newest checkpoints stay.").at_least(1).no_effect_on_values();
    v.field("keep_every", keep_every, "Checkpoints of steps that are multiples of this stay too; null = none.")
        .positive()
        .no_effect_on_values();
  }
};
static_assert(field_count<CheckpointConfig>() == 3, "describe() must list every field");

/// Writes checkpoints from a host copy in a thread of its own while training goes on, one at a time, and removes those
/// that `config` does not keep, each only after a newer one is safely on disk. For the one rank that writes: trainable
/// weights are equal on all ranks.
class CheckpointWriter {
 public:
  /// folder: RUN/checkpoints, made if missing. Removes what a killed run left half written; the caller holds the run's
  /// lock. throws DataError: folder not writable.
  CheckpointWriter(std::filesystem::path folder, const CheckpointConfig& config);
  /// Waits; an error that nobody asked for is lost, so call wait() first.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Copies the tensors to the host (into buffers kept from the last time) and returns; the caller may change them at
  /// once. Waits first for the checkpoint before. throws DataError: that one failed.
  void write(Checkpoint checkpoint);
  /// throws DataError: the last checkpoint has failed. Does not wait for one that is under way.
  void check();
  /// Returns when the last checkpoint is on disk. throws DataError: it failed (disk full); older ones are intact.
  void wait();

 private:
  std::filesystem::path folder_;
  CheckpointConfig config_;
  NamedTensors host_weights_, host_optimizer_;
  std::future<void> pending_;
};

}  // namespace trireme
