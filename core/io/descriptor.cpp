#include "core/io/descriptor.h"

#include <cerrno>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/mapping_fault.h"
#include "core/io/quote.h"

namespace trireme {
namespace {

constexpr std::string_view kRaiseOpenFiles = "raise the limit on open files (ulimit -n)";

/// The kernel refuses with EFAULT to write bytes of a mapped file that cannot be read; reading them here tells why.
void touch(std::span<const std::byte> bytes) {
  constexpr std::size_t kSmallestPageBytes = 4096;
  for (std::size_t at = 0; at < bytes.size(); at += kSmallestPageBytes)
    static_cast<void>(*const_cast<const volatile std::byte*>(&bytes[at]));
  if (!bytes.empty()) static_cast<void>(*const_cast<const volatile std::byte*>(&bytes.back()));
}

[[noreturn]] void throw_read_failure(const std::filesystem::path& path, int error_number) {
  std::string_view remedy;
  switch (error_number) {
    case EACCES:
    case EPERM:
      remedy = "give yourself permission to read it";
      break;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      remedy = "check the path";
      break;
    case EMFILE:
    case ENFILE:
      remedy = kRaiseOpenFiles;
      break;
    default:
      remedy = "check the disk and the path";
  }
  throw DataError("file", fmt::format("{} must be readable; got \"{}\"; {}.", quote_path(path),
                                      std::generic_category().message(error_number), remedy));
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

int Descriptor::close() noexcept {
  if (number_ < 0) return 0;
  return ::close(std::exchange(number_, -1)) == 0 ? 0 : errno;
}

Descriptor open_for_reading(const std::filesystem::path& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.number() < 0) throw_read_failure(path, errno);
  struct stat status {};
  if (::fstat(descriptor.number(), &status) != 0) throw_read_failure(path, errno);
  TRIREME_CHECK(!S_ISDIR(status.st_mode), DataError, "file", "{} must be a file; got a folder; name a file in it.",
                quote_path(path));
  return descriptor;
}

std::size_t read_some(const Descriptor& descriptor, std::span<std::byte> buffer, const std::filesystem::path& path) {
  for (;;) {
    const ssize_t count = ::read(descriptor.number(), buffer.data(), buffer.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) throw_read_failure(path, errno);
  }
}

void write_all(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error_number = errno;
      if (error_number == EFAULT) touch(bytes);
      require_mappings_whole();
      throw_write_failure(path, error_number);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void throw_write_failure(const std::filesystem::path& path, int error_number) {
  std::string_view remedy;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      remedy = "free space on that disk or choose another folder";
      break;
    case EFBIG:
      remedy = "raise the limit on file sizes (ulimit -f) or choose another folder";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      remedy = "give yourself permission to write to that folder or choose another";
      break;
    case ENOENT:
    case ENOTDIR:
      remedy = "make the folder first, or check the path";
      break;
    case EMFILE:
    case ENFILE:
      remedy = kRaiseOpenFiles;
      break;
    default:
      remedy = "check the disk or choose another folder";
  }
  throw DataError(
      "file", fmt::format("{} must be written whole; got \"{}\", so nothing was written (an older file is intact); {}.",
                          quote_path(path), std::generic_category().message(error_number), remedy));
}

}  // namespace trireme
