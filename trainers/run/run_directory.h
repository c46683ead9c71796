#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/same_run.h"
#include "core/log.h"

namespace trireme {

class LockFile;

/// What a run is, before its first step.
struct RunIdentity {
  std::string recipe = {};
  std::string config_dump = {};    ///< Resolved::dump(): config.yaml
  std::string config_values = {};  ///< yaml_of_values(): what must not change
  uint64_t seed = 0;
  BaseModel base = {};
  int64_t ranks = 1;
};

/// One line of the curves. NaN and infinities are written as strings.
struct StepRecord {
  int64_t step = 0;
  /// Equal from run to run (loss, lr, gradient norm, recall): metrics.jsonl and TensorBoard.
  std::vector<std::pair<std::string, double>> values = {};
  /// What depends on the machine (pairs/s, seconds of each phase): timing.jsonl and TensorBoard.
  std::vector<std::pair<std::string, double>> timings = {};
};

/// Refuses early, before weights are read, what RunDirectory would refuse of the folder: it holds other things, another
/// run writes to it, its config differs, it cannot be made. Writes nothing. identity.base is not looked at: its hash
/// takes reading the weights; and no checkpoint is read whole.
/// throws what RunDirectory's constructor throws.
void check_run_folder(const std::filesystem::path& folder, const RunIdentity& identity, const ResumeConfig& resume);

/// The folder of one run, for the one rank that writes:
///   lock                 held with flock while the run lives; says which process on which host
///   config.yaml          resolved, complete
///   environment.json     per start of the run: version, commit, build, libraries, ranks, host
///   trainable.json       every tensor of the model (trainable_file.h)
///   metrics.jsonl, timing.jsonl, events.out.tfevents.*
///   checkpoints/step_000500/
class RunDirectory {
 public:
  /// A folder that is missing or empty becomes a new run; one with a config.yaml is gone on with from its newest valid
  /// checkpoint, or from the start if it has none, and its growing files are cut back to there. Says in `log` which
  /// checkpoints are skipped, and why.
  /// throws ConfigError: as check_same_run; a folder with other things in it.
  ///        DataError: another run holds the lock (names it); every checkpoint damaged; folder not writable, disk
  ///        full.
  RunDirectory(std::filesystem::path folder, const RunIdentity& identity, const ResumeConfig& resume, Log& log);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  /// Where to go on, at the first call; nullopt at the start of a run and at later calls.
  std::optional<Checkpoint> take_checkpoint();
  /// A checkpoint with the identity, the files' lengths and `step` filled in: add tensors, counters, pinned steps.
  Checkpoint begin_checkpoint(int64_t step);

  /// Appended at once, not synced: a killed run loses nothing, a power cut what the next checkpoint would drop anyway.
  void write(const StepRecord& record);

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

 private:
  struct Files;

  std::filesystem::path path_;
  std::unique_ptr<LockFile> lock_;
  RunIdentity identity_;
  std::optional<Checkpoint> checkpoint_;
  std::unique_ptr<Files> files_;
};

}  // namespace trireme
