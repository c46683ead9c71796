#include "models/export/new_folder.h"

#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "core/error.h"

namespace trireme {
namespace fs = std::filesystem;
namespace {

void require_done(const std::error_code& error, const fs::path& path) {
  TRIREME_CHECK(!error, DataError, path.string(), "a folder must be writable here; got {}; free it, or choose another.",
                error.message());
}

}  // namespace

NewFolder::NewFolder(fs::path path, std::string_view marker) : path_(std::move(path)) {
  std::error_code error;
  const bool taken = fs::exists(path_, error) && !(fs::is_directory(path_, error) && fs::is_empty(path_, error)) &&
                     !fs::exists(path_ / marker, error);
  TRIREME_CHECK(
      !taken, DataError, path_.string(),
      "the output must be a new or empty folder, or an earlier output of this kind; got one with other files; "
      "choose another or remove it.");
  const fs::path absolute = fs::absolute(path_).lexically_normal();
  fs::create_directories(absolute.parent_path(), error);
  require_done(error, absolute.parent_path());
  const fs::path name = absolute.has_filename() ? absolute.filename() : absolute.parent_path().filename();
  path_ = absolute.has_filename() ? absolute : absolute.parent_path();
  temporary_ = path_.parent_path() / fmt::format(".{}.{}.tmp", name.string(), getpid());
  fs::remove_all(temporary_, error);
  fs::create_directory(temporary_, error);
  require_done(error, temporary_);
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void NewFolder::commit() {
  std::error_code error;
  fs::path old;
  if (fs::exists(path_, error)) {
    old = temporary_;
    old += ".old";
    fs::rename(path_, old, error);
    require_done(error, path_);
  }
  fs::rename(temporary_, path_, error);
  require_done(error, path_);
  committed_ = true;
  if (!old.empty()) fs::remove_all(old, error);
}

}  // namespace trireme
