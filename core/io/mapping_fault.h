#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

#include "core/error.h"

namespace trireme {

// A page of a mapped file that cannot be read, because someone shortened the file or its disk failed, reaches a process
// as SIGBUS, in whatever thread reads it. It shall end as any other failed read does: with a DataError.

/// From now on such a fault ends nothing at once: the rest of the mapping reads as zeros, the file is remembered, and
/// require_mappings_whole() throws. SIGBUS from anywhere else ends the process as before. Idempotent.
void survive_mapping_faults();

/// The file of the first fault since the process began, as the error to tell; nullopt while all is well. One load.
std::optional<DataError> mapping_fault();

/// throws mapping_fault(). Called before anything that was computed is handed on: a collective, a file's commit, an
/// update of the weights, the end of a rank's work. One load.
void require_mappings_whole();

/// Whether the address lies in a file that is mapped now.
bool is_in_mapped_file(const void* address);

/// While it lives, require_mappings_whole() lets everything pass, on all threads: for writing what was computed before
/// the fault and lies outside of mapped files.
class AfterMappingFault {
 public:
  AfterMappingFault();
  ~AfterMappingFault();
  AfterMappingFault(const AfterMappingFault&) = delete;
  AfterMappingFault& operator=(const AfterMappingFault&) = delete;
};

struct MappingEntry;

/// While it lives, faults in [data, data + size) are those of `path`.
class WatchedMapping {
 public:
  WatchedMapping(const void* data, std::size_t size, const std::filesystem::path& path);
  ~WatchedMapping();
  WatchedMapping(const WatchedMapping&) = delete;
  WatchedMapping& operator=(const WatchedMapping&) = delete;

 private:
  MappingEntry* entry_;
};

}  // namespace trireme
