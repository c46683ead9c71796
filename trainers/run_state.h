#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/distributed/communicator.h"
#include "core/log.h"
#include "core/named_tensors.h"
#include "core/tensor.h"
#include "models/trainable.h"
#include "trainers/optim/optimizer.h"
#include "trainers/run/run_directory.h"

namespace trireme {

/// What a recipe remembers between steps beside its tensors: Checkpoint::counters.
using Counters = std::map<std::string, double>;
/// The counters of several parts, whose names differ.
Counters merged(std::initializer_list<Counters> parts);

/// A run directory as all ranks see it: rank 0 reads and writes, the others follow. Every member is collective where it
/// says so, and does nothing on ranks other than 0 where it does not.
class RunState {
 public:
  /// throws what RunDirectory and CheckpointWriter throw, on rank 0.
  RunState(const std::filesystem::path& folder, const RunIdentity& identity, const ResumeConfig& resume,
           const CheckpointConfig& checkpoint, Communicator& communicator, Log& log);
  ~RunState();

  void write_trainable(const std::vector<TensorStatus>& tensors);

  struct Position {
    int64_t step = 0;  ///< the first to be done
    Counters counters;
  };
  /// Sets `leaves` and the optimiser to where the run stands; leaves them alone at the start of a run. Collective.
  /// throws DataError: a checkpoint whose tensors are not those of `leaves`.
  Position restore(const NamedTensors& leaves, Optimizer& optimizer);

  /// throws DataError: disk full; the last checkpoint failed.
  void write(const StepRecord& record);
  /// After `step` steps. Returns when the tensors are copied; writing goes on behind.
  /// pinned_steps: checkpoints, of this or earlier steps, that stay until a later call no longer names them.
  void checkpoint(int64_t step, const NamedTensors& leaves, const Optimizer& optimizer, Counters counters,
                  std::vector<int64_t> pinned_steps = {});
  /// Writes RUN/`name` (evidence, summaries), whole or not at all.
  void write_file(std::string_view name, const std::string& text);
  /// The last checkpoint is on disk. throws DataError: it failed.
  void finish();

  const std::filesystem::path& folder() const noexcept { return folder_; }
  /// The step of the newest checkpoint asked for in this process or restored; nullopt when there is none.
  std::optional<int64_t> last_checkpoint() const noexcept { return last_checkpoint_; }

 private:
  std::filesystem::path folder_;
  Communicator& communicator_;
  Log& log_;
  std::unique_ptr<RunDirectory> directory_;   ///< rank 0's
  std::unique_ptr<CheckpointWriter> writer_;  ///< rank 0's
  std::optional<int64_t> last_checkpoint_;
};

/// Lives as long as a training loop. When that ends by an error (a file that fails, the end of another rank), the steps
/// done are kept in a checkpoint, where one can be written; the error goes on as it is.
class LastCheckpoint {
 public:
  /// write  calls run.checkpoint() after that many steps.      leaves  what the run trains.
  LastCheckpoint(RunState& run, const NamedTensors& leaves, Log& log, std::function<void(int64_t steps)> write);
  ~LastCheckpoint();
  LastCheckpoint(const LastCheckpoint&) = delete;
  LastCheckpoint& operator=(const LastCheckpoint&) = delete;

  /// Until end_update() the weights are those of no step. throws DataError: the gradients are of a mapped file that
  /// could not be read (core/io/mapping_fault.h).
  void begin_update();
  /// The weights and counters are those after `steps` steps, and were found healthy.
  void end_update(int64_t steps) { steps_ = steps; }

 private:
  RunState& run_;
  const NamedTensors& leaves_;
  Log& log_;
  std::function<void(int64_t)> write_;
  std::optional<int64_t> steps_;
  int exceptions_at_birth_;
};

/// The tensors without their names.
std::vector<torch::Tensor> values_of(const NamedTensors& tensors);

}  // namespace trireme
