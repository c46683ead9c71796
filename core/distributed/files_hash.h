#pragma once

#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"

namespace trireme {

/// sha256 over files, one after the other, taken once a host: by its first rank, on a thread of its own, while every
/// rank goes on. The host's ranks then read the same pages, so the files come from the disk once:
///   FilesHash hash(communicator, checkpoint.weight_files());
///   load ..
///   .. = hash.get(communicator);
class FilesHash {
 public:
  /// Reading begins. Collective: the ranks find out who shares a host.
  FilesHash(Communicator& communicator, std::vector<std::filesystem::path> files);
  FilesHash(FilesHash&&) noexcept = default;
  ~FilesHash();  ///< waits for the thread

  /// Waits. 64 hex digits, the same on every rank. Collective; once.
  /// throws DataError: a file that cannot be read. DistError, on every rank: hosts whose files differ.
  std::string get(Communicator& communicator);

 private:
  std::future<std::string> hash_;  ///< of the host's first rank
};

}  // namespace trireme
