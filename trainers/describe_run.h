#pragma once

#include <filesystem>
#include <string>

namespace trireme {

/// Whether a folder is a run directory: config.yaml beside environment.json or checkpoints.
bool is_run_folder(const std::filesystem::path& folder);
/// Whether a folder is one of a run's checkpoints, whole or damaged: state.json or optimizer.safetensors in it.
bool is_run_checkpoint(const std::filesystem::path& folder);

/// For a person: recipe, base, what trains, how far it came, the best by its validation, and each checkpoint with its
/// validity. Ends with a newline. throws DataError: trainable.json or environment.json is no JSON.
/// cost  one read of every checkpoint.
std::string describe_run_folder(const std::filesystem::path& folder);

/// For a person: step, recipe, base, what trains, the optimiser, the best so far, validity. Ends with a newline.
/// throws DataError: the checkpoint is damaged (says where).
/// cost  one read of it.
std::string describe_run_checkpoint(const std::filesystem::path& folder);

}  // namespace trireme
