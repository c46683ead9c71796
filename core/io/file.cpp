#include "core/io/file.h"

#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/mapping_fault.h"
#include "core/io/quote.h"

namespace trireme {

struct MappedFile::Mapping {
  Mapping(std::filesystem::path file_path, std::size_t file_size) : path(std::move(file_path)), size(file_size) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    watched.reset();
    if (data != nullptr) ::munmap(data, size);
  }

  std::filesystem::path path;
  void* data = nullptr;  ///< nullptr for an empty file, which mmap refuses
  std::size_t size;
  std::optional<WatchedMapping> watched;
};

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Descriptor descriptor = open_for_reading(path);
  struct stat status {};
  TRIREME_CHECK(::fstat(descriptor.number(), &status) == 0 && S_ISREG(status.st_mode), DataError, "file",
                "{} must be a regular file; got a device or a pipe; copy it to a file first.", quote_path(path));
  auto mapping = std::make_shared<Mapping>(path, static_cast<std::size_t>(status.st_size));
  if (mapping->size > 0) {
    // MAP_NORESERVE: a private writable mapping would otherwise count against the memory limit in full, although the
    // pages are the file's own until someone writes to them.
    void* const data =
        ::mmap(nullptr, mapping->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor.number(), 0);
    TRIREME_CHECK(data != MAP_FAILED, DataError, "file",
                  "{} must fit in the address space; got \"{}\" for {} bytes; raise the limit (ulimit -v).",
                  quote_path(path), std::generic_category().message(errno), mapping->size);
    mapping->data = data;
    mapping->watched.emplace(data, mapping->size, path);
  }
  mapping_ = std::move(mapping);
}

std::span<std::byte> MappedFile::bytes() const noexcept {
  return {static_cast<std::byte*>(mapping_->data), mapping_->size};
}

std::string_view MappedFile::text() const noexcept {
  return {static_cast<const char*>(mapping_->data), mapping_->size};
}

const std::filesystem::path& MappedFile::path() const noexcept { return mapping_->path; }

std::shared_ptr<const void> MappedFile::owner() const noexcept { return mapping_; }

namespace {

/// Where a write to `path` has to end up: through symbolic links, and only over a regular file. Renaming over a device
/// would replace the device.
std::filesystem::path write_target(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path target =
      std::filesystem::is_symlink(path, error) ? std::filesystem::weakly_canonical(path, error) : path;
  if (error) target = path;
  const auto status = std::filesystem::status(target, error);
  TRIREME_CHECK(!std::filesystem::is_directory(status), DataError, "file",
                "{} must name a file to write; got a folder; name a file in it.", quote_path(path));
  TRIREME_CHECK(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), DataError, "file",
                "{} must name a regular file to write; got a device or a pipe; name a file.", quote_path(path));
  TRIREME_CHECK(target.has_filename(), DataError, "file", "{} must name a file to write; got no file name; add one.",
                quote_path(path));
  return target;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(write_target(path)) {
  constexpr mode_t kReadWriteForAll = 0666;  // less the umask, as any program's files
  // Names are limited to 255 bytes: a long one is shortened in the temporary's name.
  const std::string stem = path_.filename().native().substr(0, 200);
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    // O_EXCL makes the name ours alone, even if a process of another node has the same id and folder.
    temporary_ = folder_of(path_) / fmt::format(".{}.{}-{}.tmp", stem, ::getpid(), attempt);
    descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kReadWriteForAll);
    if (descriptor_ < 0 && errno != EEXIST) throw_write_failure(path_, errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  // A library may hold the temporary open after a failure: emptied, it gives its space back at once.
  [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, 0);
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  TRIREME_ASSERT(descriptor_ >= 0, "{} is committed already", path_.native());
  write_all(descriptor_, bytes, path_);
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  TRIREME_ASSERT(descriptor_ >= 0, "{} is committed already", path_.native());
  require_mappings_whole();
  if (::fsync(descriptor_) != 0) throw_write_failure(path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_failure(path_, errno);
  ::close(std::exchange(descriptor_, -1));  // fsync has reported every failure that close could
  // The rename itself is safe from a power cut only once the folder is on disk. Some network file systems cannot sync a
  // folder; the file is there all the same.
  const Descriptor folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number() >= 0) ::fsync(folder.number());
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const Descriptor descriptor = open_for_reading(path);
  constexpr std::size_t kBlockBytes = 1 << 16;
  std::string text;
  for (;;) {
    const std::size_t old_size = text.size();
    text.resize(old_size + kBlockBytes);
    const std::size_t count = read_some(descriptor, std::as_writable_bytes(std::span(text).subspan(old_size)), path);
    text.resize(old_size + count);
    TRIREME_CHECK(text.size() <= max_bytes, DataError, "file",
                  "{} must be at most {} bytes; got more; check that it is the right file.", quote_path(path),
                  max_bytes);
    if (count == 0) return text;
  }
}

void write_text_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace trireme
