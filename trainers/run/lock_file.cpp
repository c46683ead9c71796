#include "trainers/run/lock_file.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "trainers/run/environment.h"

namespace trireme {
namespace {

/// After flock() has failed.
[[noreturn]] void throw_not_locked(const std::filesystem::path& path) {
  TRIREME_CHECK(errno != EWOULDBLOCK, DataError, "run",
                "one run at a time may use {}; got a lock held by {}; wait for it, stop it, or choose another run "
                "directory.",
                quote_path(path.parent_path()), quote_text(read_text_file(path)));
  throw_write_failure(path, errno);
}

}  // namespace

void require_unlocked(const std::filesystem::path& path) {
  const Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.number() >= 0 && ::flock(descriptor.number(), LOCK_SH | LOCK_NB) != 0) throw_not_locked(path);
}

LockFile::LockFile(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_.number() < 0) throw_write_failure(path, errno);
  if (::flock(descriptor_.number(), LOCK_EX | LOCK_NB) != 0) throw_not_locked(path);
  const std::string holder = fmt::format("process {} on {} since {}", ::getpid(), host_name(), utc_now());
  if (::ftruncate(descriptor_.number(), 0) != 0) throw_write_failure(path, errno);
  write_all(descriptor_.number(), std::as_bytes(std::span(holder)), path);
}

}  // namespace trireme
