#include "launch/environment.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/error.h"

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

}  // namespace

LaunchInfo read_launch_info() {
  if (const auto info = read_launcher(Launcher::kMpirun, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                      "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE")) {
    return *info;
  }
  // srun sets SLURM_PROCID for every step, also for a plain program that it starts once.
  if (const auto info = read_launcher(Launcher::kSrun, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
                                      "SLURM_STEP_TASKS_PER_NODE")) {
    return *info;
  }
  return {};
}

int64_t allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
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
  if (bound && launch.launcher != Launcher::kNone) return cores;
  return std::max<int64_t>(1, cores / launch.local_size);
}

}  // namespace trireme
