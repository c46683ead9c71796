#include "launch/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {
namespace {

namespace fs = std::filesystem;

/// A mounted hierarchy that limits processor time.
struct Mount {
  fs::path folder;  ///< where it is mounted
  fs::path root;    ///< the cgroup that is seen there
  bool is_v2;
};

/// Whether a comma-separated list has the word.
bool lists(const std::string& list, std::string_view word) {
  std::istringstream in(list);
  for (std::string each; std::getline(in, each, ',');) {
    if (each == word) return true;
  }
  return false;
}

/// Lines of mountinfo: id, parent, device, root, mount point, options, optional fields, "-", type, source, options.
std::vector<Mount> read_mounts(const fs::path& root) {
  std::vector<Mount> mounts;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    std::string id, parent, device, seen, point, word, type, source, options;
    in >> id >> parent >> device >> seen >> point;
    while (in >> word && word != "-") continue;
    in >> type >> source >> options;
    const bool is_v2 = type == "cgroup2";
    if (is_v2 || (type == "cgroup" && lists(options, "cpu")))
      mounts.push_back({root / fs::path(point).relative_path(), seen, is_v2});
  }
  return mounts;
}

/// Cores that one cgroup grants.
std::optional<double> quota_of(const fs::path& cgroup, bool is_v2) {
  double quota_us = -1, period_us = 0;
  if (is_v2) {
    std::ifstream file(cgroup / "cpu.max");
    if (!(file >> quota_us >> period_us)) return std::nullopt;  // "max 100000" too
  } else {
    std::ifstream quota(cgroup / "cpu.cfs_quota_us"), period(cgroup / "cpu.cfs_period_us");
    if (!(quota >> quota_us) || !(period >> period_us)) return std::nullopt;
  }
  if (quota_us <= 0 || period_us <= 0) return std::nullopt;
  return quota_us / period_us;
}

/// The path of this process's cgroup below the mount; the mount itself where the path lies outside of what is seen.
fs::path below(const Mount& mount, const fs::path& cgroup) {
  const fs::path rest = cgroup.lexically_relative(mount.root);
  return rest.empty() || *rest.begin() == ".." ? fs::path(".") : rest;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& root) {
  const std::vector<Mount> mounts = read_mounts(root);
  std::optional<double> tightest;
  const auto consider = [&](const fs::path& cgroup, bool is_v2) {
    if (const auto quota = quota_of(cgroup, is_v2)) tightest = std::min(*quota, tightest.value_or(*quota));
  };
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "4:cpu,cpuacct:/path" or "0::/path"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_v2 = controllers.empty();
    if (!is_v2 && !lists(controllers, "cpu")) continue;
    for (const Mount& mount : mounts) {
      if (mount.is_v2 != is_v2) continue;
      for (fs::path path = below(mount, line.substr(second + 1)); !path.empty(); path = path.parent_path())
        consider(mount.folder / path, is_v2);
      consider(mount.folder, is_v2);
    }
  }
  return tightest;
}

}  // namespace trireme
