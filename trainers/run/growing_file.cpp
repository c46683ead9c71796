#include "trainers/run/growing_file.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

namespace trireme {

GrowingFile::GrowingFile(std::filesystem::path path, uint64_t keep_bytes)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  struct stat status {};
  if (descriptor_.number() < 0 || ::fstat(descriptor_.number(), &status) != 0) throw_write_failure(path_, errno);
  size_bytes_ = std::min(keep_bytes, static_cast<uint64_t>(status.st_size));
  if (::ftruncate(descriptor_.number(), static_cast<off_t>(size_bytes_)) != 0) throw_write_failure(path_, errno);
}

void GrowingFile::append(std::string_view text) {
  try {
    write_all(descriptor_.number(), std::as_bytes(std::span(text)), path_);
  } catch (const DataError&) {
    // A full disk may have taken the start of a line.
    [[maybe_unused]] const int ignored = ::ftruncate(descriptor_.number(), static_cast<off_t>(size_bytes_));
    throw;
  }
  size_bytes_ += text.size();
}

void GrowingFile::sync() {
  if (::fdatasync(descriptor_.number()) != 0) throw_write_failure(path_, errno);
}

}  // namespace trireme
