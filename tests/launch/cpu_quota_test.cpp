#include "launch/cpu_quota.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

/// A root with the files that the kernel would show.
struct Machine {
  explicit Machine(const std::string& cgroup, const std::string& mountinfo) {
    folder.write("proc/self/cgroup", cgroup);
    folder.write("proc/self/mountinfo", mountinfo);
  }
  std::optional<double> quota() const { return cpu_quota(folder.path()); }

  test::TempFolder folder;
};

constexpr const char* kV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kV1 =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST(CpuQuota, OfVersion2IsTheContainersOwn) {
  const Machine machine("0::/\n", kV2);
  EXPECT_EQ(machine.quota(), std::nullopt);
  machine.folder.write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(machine.quota(), std::nullopt);
  machine.folder.write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(machine.quota(), 1.5);
}

TEST(CpuQuota, IsTheTightestOnTheWayUp) {
  const Machine machine("0::/user.slice/job/step\n", kV2);
  machine.folder.write("sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n");
  machine.folder.write("sys/fs/cgroup/user.slice/job/cpu.max", "200000 100000\n");
  machine.folder.write("sys/fs/cgroup/user.slice/job/step/cpu.max", "max 100000\n");
  EXPECT_EQ(machine.quota(), 2.0);
  machine.folder.write("sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n");
  EXPECT_EQ(machine.quota(), 0.5);
}

TEST(CpuQuota, OfVersion1IsInTheHierarchyOfTheCpuController) {
  const Machine machine("5:cpuset:/a\n4:cpu,cpuacct:/docker/c0ffee\n0::/\n", kV1);
  machine.folder.write("sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us", "1\n");
  machine.folder.write("sys/fs/cgroup/cpu,cpuacct/docker/c0ffee/cpu.cfs_period_us", "100000\n");
  machine.folder.write("sys/fs/cgroup/cpu,cpuacct/docker/c0ffee/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(machine.quota(), std::nullopt);
  machine.folder.write("sys/fs/cgroup/cpu,cpuacct/docker/c0ffee/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(machine.quota(), 1.0);
}

/// Docker without a cgroup namespace: the path is the host's, and what is mounted begins at it.
TEST(CpuQuota, IsFoundWhereTheContainerSeesOnlyItsOwnPart) {
  const Machine own("4:cpu:/docker/c0ffee/worker\n",
                    "33 31 0:30 /docker/c0ffee /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  own.folder.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  own.folder.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(own.quota(), 3.0);
  const Machine outside("4:cpu:/../elsewhere\n", "33 31 0:30 /docker/c0ffee /cg rw - cgroup cgroup rw,cpu\n");
  outside.folder.write("cg/cpu.cfs_period_us", "100000\n");
  outside.folder.write("cg/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(outside.quota(), 2.5);
}

TEST(CpuQuota, IsNoneWhereNothingTells) {
  const test::TempFolder empty;
  EXPECT_EQ(cpu_quota(empty.path()), std::nullopt);
  const Machine odd("no colons\n:\n0::\n", "short line\n");
  EXPECT_EQ(odd.quota(), std::nullopt);
}

}  // namespace
}  // namespace trireme
