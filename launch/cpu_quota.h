#pragma once

#include <filesystem>
#include <optional>

namespace trireme {

/// How much processor time the cgroups of this process grant it, in cores: 1.5 for 150 ms in each 100 ms; the tightest
/// of its own cgroup and those above it, version 1 and 2; nullopt without a limit or where it cannot be read.
/// root: below which /proc and the cgroup file systems are mounted.
std::optional<double> cpu_quota(const std::filesystem::path& root = "/");

}  // namespace trireme
