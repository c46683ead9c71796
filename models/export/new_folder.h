#pragma once

#include <filesystem>
#include <string_view>

namespace trireme {

/// Makes a folder whole or not at all: files go into a temporary folder beside it, commit() puts it in place; without
/// commit() it is removed. An existing folder is replaced, at commit(), only if it holds `marker`, the file that says
/// an earlier call of ours made it.
/// throws DataError: the folder exists and is neither empty nor ours; its parent is missing or not writable.
class NewFolder {
 public:
  NewFolder(std::filesystem::path path, std::string_view marker);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }
  /// throws DataError: not writable.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  bool committed_ = false;
};

}  // namespace trireme
