#pragma once

#include <cstdint>

#include <signal.h>
#include <sys/resource.h>

namespace trireme::test {

/// While it lives, no file of this process can grow past `bytes`: writes fail as on a full disk, with EFBIG for ENOSPC.
/// Needs no privileges and no file system of its own.
class DiskFull {
 public:
  explicit DiskFull(int64_t bytes);
  ~DiskFull();
  DiskFull(const DiskFull&) = delete;
  DiskFull& operator=(const DiskFull&) = delete;

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

}  // namespace trireme::test
