#include "retrieval/mining/work_folder.h"

#include "core/checkpoint/same_run.h"
#include "core/io/file.h"

namespace trireme {

namespace fs = std::filesystem;

void WorkFolder::open(const Resolved<MineConfig>& config, const std::function<void(const std::string&)>& notice) const {
  fs::create_directories(path_ / "embeddings");
  const std::string now = yaml_of_values(*config);
  const fs::path file = path_ / "config.yaml";
  if (fs::exists(file)) {
    std::vector<std::string> differences;
    for (const auto& [key, before, after] : config_differences(read_text_file(file), now))
      differences.push_back(fmt::format("{} was {} and is {}", key, before, after));
    if (!differences.empty()) {
      notice(fmt::format("what {} holds of another config is mined again: {}", (path_ / "lists").string(),
                         fmt::join(differences, ", ")));
      fs::remove_all(path_ / "lists");
    }
  }
  fs::create_directories(path_ / "lists");
  AtomicFile written(file);
  written.write(std::string_view(now));
  written.commit();
}

bool WorkFolder::has_lists(const fs::path& lists, const HardNegativesInfo& wanted,
                           const std::function<void(const std::string&)>& notice) const {
  if (!fs::exists(lists)) return false;
  const HardNegativesInfo found = HardNegativesFile::open(lists).info();
  if (found.config_sha256 == wanted.config_sha256) return true;
  const auto parts = differing_parts(found.fingerprint, wanted.fingerprint, all_fingerprint_parts());
  notice(fmt::format("{} is of other {} and is mined again", lists.string(),
                     parts.empty() ? "weights or data" : names_of(parts)));
  return false;
}

void WorkFolder::close(bool keep) const { fs::remove_all(keep ? path_ / "lists" : path_); }

fs::path WorkFolder::lists(const std::string& group, QueryRange range) const {
  return path_ / "lists" / fmt::format("{}.{}-{}.h5", group, range.begin, range.end);
}

}  // namespace trireme
