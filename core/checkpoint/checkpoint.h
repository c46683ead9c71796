#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/io/fingerprint.h"
#include "core/named_tensors.h"

namespace trireme {

/// The frozen weights that a run builds on: named in a checkpoint, not in it.
struct BaseModel {
  std::filesystem::path path;
  std::string sha256;  ///< over its weight files; "" for a model made from scratch
  /// What it computes and reads follows from: kFolderParts and the folder's pixel limits. Empty in older checkpoints.
  Fingerprint fingerprint = {};
  bool operator==(const BaseModel&) const = default;
};

/// Where a run stands between two steps. Learning rate, batches and random numbers are functions of (config, seed,
/// step), so nothing of them is kept but the step and the seed.
struct Checkpoint {
  /// Steps done: the run goes on with step number `step` (0-based).
  int64_t step = 0;
  NamedTensors weights = {};    ///< the trainable tensors
  NamedTensors optimizer = {};  ///< Optimizer::state()
  std::string recipe = {};
  std::string config_yaml = {};  ///< yaml_of_values() of the run's config
  uint64_t seed = 0;
  BaseModel base = {};
  /// Lengths of the run directory's growing files, which resuming cuts back to: {"metrics.jsonl", 4096}.
  std::map<std::string, uint64_t> file_bytes = {};
  /// What else the recipe must know after a restart (best metric, running averages); finite; kept to the last bit.
  std::map<std::string, double> counters = {};
  /// Steps whose checkpoints must outlive keep_last: the best so far.
  std::vector<int64_t> pinned_steps = {};
};

/// "step_000500"
std::string checkpoint_name(int64_t step);

/// Writes FOLDER/step_000500/: weights.safetensors, optimizer.safetensors, state.json, config.yaml, and last
/// manifest.json with every file's length and checksums. Made in a temporary folder beside it, fsynced and renamed, so
/// that the name exists only whole; a checkpoint of the same step is replaced. Blocking; CheckpointWriter is not.
/// throws DataError: disk full, folder not writable; older checkpoints are intact then, and the temporary is gone.
void write_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint);

/// Reads one checkpoint folder after checking every byte of it against its manifest. The tensors are the caller's own.
/// throws DataError: a file missing, cut short or changed (names the file and the 1 MiB block), another format version.
Checkpoint read_checkpoint(const std::filesystem::path& checkpoint_folder);

/// A checkpoint that cannot be used, and why: the text of its DataError.
struct SkippedCheckpoint {
  std::filesystem::path folder;
  std::string reason;
};
struct CheckpointSearch {
  std::optional<Checkpoint> newest;
  std::filesystem::path folder;            ///< of `newest`
  std::vector<SkippedCheckpoint> skipped;  ///< newer than `newest`, newest first
};
/// The newest checkpoint under `folder` that read_checkpoint accepts. A folder that does not exist has none.
CheckpointSearch find_newest_checkpoint(const std::filesystem::path& folder);

}  // namespace trireme
