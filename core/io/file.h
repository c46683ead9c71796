#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace trireme {

/// A whole file in memory by mmap, private and copy-on-write: pages are read on first touch and shared between ranks of
/// one node. Immutable value handle; copies share the mapping, which lives until the last copy goes. A file that is
/// shortened meanwhile reads as zeros from there on, and nothing made of it is kept (mapping_fault.h).
/// throws DataError: missing, unreadable, not a regular file. An empty file is an empty span.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  std::span<std::byte> bytes() const noexcept;
  std::string_view text() const noexcept;
  const std::filesystem::path& path() const noexcept;
  /// Keeps the mapping alive for views into it (torch::from_blob deleters).
  std::shared_ptr<const void> owner() const noexcept;

 private:
  struct Mapping;
  std::shared_ptr<const Mapping> mapping_;
};

/// Writes `path` whole or not at all: bytes go to a temporary file in the same folder, commit() fsyncs and renames it
/// over `path`; without commit() the temporary is removed and an old file stays as it was. A symbolic link is followed.
/// throws DataError: no such folder, not writable, disk full, a folder or a device; commit(): also mapping_fault().
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// For libraries that write by themselves (HDF5): the temporary's path; what is in it at commit() is what counts.
  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

/// The file's text; throws DataError when it is missing, unreadable or above `max_bytes`.
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes = 1ull << 30);
/// The text as the whole file, or no change: an AtomicFile of one piece. throws what it throws.
void write_text_file(const std::filesystem::path& path, std::string_view text);

}  // namespace trireme
