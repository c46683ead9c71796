#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "core/io/descriptor.h"

namespace trireme {

/// A file that a run appends to. Each append is one write, seen by readers at once; a killed process loses nothing.
/// throws DataError: folder not writable, disk full.
class GrowingFile {
 public:
  /// Made when missing; cut to `keep_bytes` when longer.
  GrowingFile(std::filesystem::path path, uint64_t keep_bytes);
  /// Whole or not at all.
  void append(std::string_view text);
  /// Returns when all is on disk, where a power cut leaves it.
  void sync();
  uint64_t size_bytes() const noexcept { return size_bytes_; }

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  uint64_t size_bytes_ = 0;
};

}  // namespace trireme
