#include "core/checkpoint/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "core/checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/quote.h"

namespace trireme {
namespace {

std::optional<int64_t> step_of(std::string_view name) {
  constexpr std::string_view kPrefix = "step_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* const end = name.data() + name.size();
  const auto [parsed, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || parsed != end || checkpoint_name(step) != name) return std::nullopt;
  return step;
}

std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    paths.push_back(entry->path());
  }
  TRIREME_CHECK(!error || error == std::errc::no_such_file_or_directory, DataError, "checkpoint",
                "{} must be a readable folder; got \"{}\"; check its permissions.", quote_path(folder),
                error.message());
  return paths;
}

void remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  TRIREME_CHECK(!error, DataError, "checkpoint", "{} must be removable; got \"{}\"; check its permissions.",
                quote_path(path), error.message());
}

}  // namespace

std::vector<int64_t> steps_in(const std::filesystem::path& folder) {
  std::vector<int64_t> steps;
  for (const std::filesystem::path& path : entries_of(folder)) {
    if (const auto step = step_of(path.filename().native())) steps.push_back(*step);
  }
  std::ranges::sort(steps);
  return steps;
}

void remove_checkpoint(const std::filesystem::path& checkpoint_folder) {
  const std::filesystem::path doomed =
      checkpoint_folder.parent_path() / fmt::format(".{}.{}.old", checkpoint_folder.filename().native(), ::getpid());
  std::error_code error;
  std::filesystem::rename(checkpoint_folder, doomed, error);
  if (error == std::errc::no_such_file_or_directory) return;
  TRIREME_CHECK(!error, DataError, "checkpoint", "{} must be removable; got \"{}\"; check its permissions.",
                quote_path(checkpoint_folder), error.message());
  remove_tree(doomed);
}

void remove_leftovers(const std::filesystem::path& folder) {
  for (const std::filesystem::path& path : entries_of(folder)) {
    if (path.filename().native().starts_with(".step_")) remove_tree(path);
  }
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number() >= 0) ::fsync(descriptor.number());
}

}  // namespace trireme
