#pragma once

#include <filesystem>

#include "core/io/descriptor.h"

namespace trireme {

/// Holds a folder for one process with flock: the lock goes with the process, however that ends. The file stays and
/// says who holds or held it.
class LockFile {
 public:
  /// throws DataError: another process holds it (says which, on which host, since when); not writable.
  explicit LockFile(const std::filesystem::path& path);

 private:
  Descriptor descriptor_;
};

/// Refuses a lock that another process holds now; takes and makes nothing. throws as LockFile.
void require_unlocked(const std::filesystem::path& path);

}  // namespace trireme
