#include "tests/core/io/disk_full.h"

#include <stdexcept>

namespace trireme::test {

DiskFull::DiskFull(int64_t bytes) : old_handler_(::signal(SIGXFSZ, SIG_IGN)) {
  if (::getrlimit(RLIMIT_FSIZE, &old_limit_) != 0) throw std::runtime_error("getrlimit");
  const rlimit limit{static_cast<rlim_t>(bytes), old_limit_.rlim_max};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("setrlimit");
}

DiskFull::~DiskFull() {
  ::setrlimit(RLIMIT_FSIZE, &old_limit_);
  ::signal(SIGXFSZ, old_handler_);
}

}  // namespace trireme::test
