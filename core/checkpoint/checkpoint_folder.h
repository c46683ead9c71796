#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace trireme {

// The folder that holds a run's checkpoints: names, and what is done to them. What changes it is for
// core/checkpoint/*.cpp.

/// Steps of which there is a checkpoint by name, ascending; none when there is no such folder.
/// throws DataError: unreadable.
std::vector<int64_t> steps_in(const std::filesystem::path& folder);

/// Takes the name away first, so that a checkpoint half removed does not look like one. Nothing when it is not there.
/// throws DataError: not removable.
void remove_checkpoint(const std::filesystem::path& checkpoint_folder);

/// Removes what a killed process left half written or half removed. throws DataError: not removable.
void remove_leftovers(const std::filesystem::path& folder);

/// Makes new names in the folder safe from a power cut, where the file system can.
void sync_folder(const std::filesystem::path& folder);

}  // namespace trireme
