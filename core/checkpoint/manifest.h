#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace trireme {

/// Writes FOLDER/manifest.json: length and XXH3 checksums, one per block of 1 MiB, of the named files in it.
/// throws DataError: a file unreadable, disk full.
void write_manifest(const std::filesystem::path& folder, std::span<const std::string> names);

/// Reads every byte that the manifest speaks of, the manifest's own too.
/// throws DataError: manifest missing or damaged; a file missing, of another length, or with a changed block (names
/// the file and the bytes).
/// cost  one read of all files; hashing is faster than any disk.
void check_manifest(const std::filesystem::path& folder);

}  // namespace trireme
