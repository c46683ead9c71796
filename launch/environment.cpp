#include "launch/environment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/error.h"
#include "launch/cpu_quota.h"

namespace trireme {
namespace {

std::optional<int64_t> read_number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  const std::string_view view(text);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  TRIREME_CHECK(error == std::errc() && end == view.data() + view.size() && value >= 0, ConfigError, "launch",
                "{} must be a number of 0 or more; got \"{}\"; start through mpirun or srun, or unset it.", name, view);
  return value;
}

/// The first number of a variable such as Slurm's "4(x2),3"; nullopt when unset.
std::optional<int64_t> read_first_number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  const std::string_view view(text);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

/// A launcher's variables, all or none of which are set.
std::optional<LaunchInfo> read_launcher(Launcher launcher, const char* rank, const char* size, const char* local_rank,
                                        const char* local_size) {
  const auto announced_rank = read_number(rank), announced_size = read_number(size);
  if (!announced_rank || !announced_size) return std::nullopt;
  TRIREME_CHECK(*announced_rank < *announced_size, ConfigError, "launch",
                "{} must be below {}; got {} and {}; start through {}.", rank, size, *announced_rank, *announced_size,
                launcher_name(launcher));
  return LaunchInfo{launcher, *announced_rank, *announced_size, read_number(local_rank).value_or(0),
                    read_first_number(local_size).value_or(1)};
}

/// What tells of launchers whose processes do not meet here.
struct OtherLauncher {
  std::string_view name;
  const char* rank;
  const char* size;  ///< nullptr: it announces none
};
constexpr std::array kOtherLaunchers = {
    OtherLauncher{"torchrun, accelerate or deepspeed (RANK, WORLD_SIZE)", "RANK", "WORLD_SIZE"},
    OtherLauncher{"an mpiexec of MPICH, Intel MPI or Cray (PMI_RANK, PMI_SIZE)", "PMI_RANK", "PMI_SIZE"},
    OtherLauncher{"MVAPICH (MV2_COMM_WORLD_RANK, MV2_COMM_WORLD_SIZE)", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
    OtherLauncher{"MVAPICH (MVP_COMM_WORLD_RANK, MVP_COMM_WORLD_SIZE)", "MVP_COMM_WORLD_RANK", "MVP_COMM_WORLD_SIZE"},
    OtherLauncher{"jsrun (JSM_NAMESPACE_RANK, JSM_NAMESPACE_SIZE)", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"},
    OtherLauncher{"flux (FLUX_TASK_RANK, FLUX_JOB_SIZE)", "FLUX_TASK_RANK", "FLUX_JOB_SIZE"},
    OtherLauncher{"horovodrun (HOROVOD_RANK, HOROVOD_SIZE)", "HOROVOD_RANK", "HOROVOD_SIZE"},
    OtherLauncher{"a PMIx launcher (PMIX_RANK)", "PMIX_RANK", nullptr},
    OtherLauncher{"Cray's PALS (PALS_RANKID)", "PALS_RANKID", nullptr},
    OtherLauncher{"aprun (ALPS_APP_PE)", "ALPS_APP_PE", nullptr},
};

/// The first of them that started several processes: more than one, and another number than `known`, what srun says it
/// started: srun sets some of these variables too, or starts the launcher once a node.
std::optional<LaunchInfo> find_other_launcher(int64_t known, Launcher launcher) {
  for (const OtherLauncher& other : kOtherLaunchers) {
    const auto rank = read_first_number(other.rank);
    if (!rank) continue;
    if (other.size == nullptr) {
      if (launcher == Launcher::kNone) return LaunchInfo{Launcher::kOther, *rank, *rank + 1, 0, 1, other.name};
      continue;
    }
    const auto size = read_first_number(other.size);
    if (size && *size > 1 && *size != known) return LaunchInfo{Launcher::kOther, *rank, *size, 0, 1, other.name};
  }
  return std::nullopt;
}

}  // namespace

LaunchInfo read_launch_info() {
  if (const auto info = read_launcher(Launcher::kMpirun, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                      "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE")) {
    return *info;
  }
  // srun sets SLURM_PROCID for every step, also for a plain program that it starts once.
  const LaunchInfo info = read_launcher(Launcher::kSrun, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
                                        "SLURM_STEP_TASKS_PER_NODE")
                              .value_or(LaunchInfo{});
  return find_other_launcher(info.size, info.launcher).value_or(info);
}

int64_t allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

std::optional<int64_t> granted_cores() {
  const std::optional<double> quota = cpu_quota();
  if (!quota) return std::nullopt;
  return std::max<int64_t>(1, std::llround(*quota));
}

bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

int64_t peak_memory_bytes() {
  constexpr int64_t kBytesPerKib = 1024;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * kBytesPerKib;
}

int64_t terminal_columns() {
  constexpr int64_t kUsualColumns = 80;
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsualColumns;
}

int64_t compute_threads(int64_t asked, const LaunchInfo& launch) {
  if (asked > 0) return asked;
  const int64_t cores = allowed_cores();
  const bool bound = cores < static_cast<int64_t>(std::thread::hardware_concurrency());
  const bool cores_are_its_own = bound && launch.launcher != Launcher::kNone;
  const int64_t ranks = std::max<int64_t>(1, launch.local_size);
  // A quota is shared by the ranks of its container, whatever cores they are bound to.
  const int64_t granted = granted_cores().value_or(cores * ranks);
  return std::max<int64_t>(1, std::min(cores_are_its_own ? cores : cores / ranks, granted / ranks));
}

}  // namespace trireme
