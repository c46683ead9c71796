#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

namespace trireme {

/// Owns a POSIX file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { close(); }
  int number() const noexcept { return number_; }
  /// The errno of close(2), 0 when it went well; closed either way.
  int close() noexcept;

 private:
  int number_;
};

/// Opens for reading; throws DataError: missing, a folder, no permission.
Descriptor open_for_reading(const std::filesystem::path& path);

/// The next bytes of the file into `buffer`; 0 at its end. throws DataError when the disk fails.
std::size_t read_some(const Descriptor& descriptor, std::span<std::byte> buffer, const std::filesystem::path& path);

/// Writes all of `bytes` at the descriptor's place. throws DataError: throw_write_failure of `path`, or mapping_fault()
/// when it is the bytes that cannot be read.
void write_all(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path);

/// The DataError for a write to `path` that ended with `error_number`: says what came and what to do.
[[noreturn]] void throw_write_failure(const std::filesystem::path& path, int error_number);

}  // namespace trireme
