#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <optional>

#include "core/checkpoint/checkpoint.h"

namespace trireme {

class FieldList;

/// [checkpoint] When checkpoints are written and which stay.
struct CheckpointConfig {
  int64_t every_steps = 500;
  int64_t keep_last = 2;
  std::optional<int64_t> keep_every = std::nullopt;

  void describe(FieldList& v);
};

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
