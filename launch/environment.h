#pragma once

#include <cstdint>
#include <optional>

#include "core/distributed/connect.h"

namespace trireme {

/// The only place that reads the environment and asks the operating system about this process.

/// This process's rank as Open MPI's mpirun or Slurm's srun announces it; Launcher::kOther when another launcher has
/// started several processes, which connect() refuses; one rank alone without any.
/// throws ConfigError: an announced number that is none, or a rank outside the size.
LaunchInfo read_launch_info();

/// Processor cores this process may run on (its affinity), at least 1.
int64_t allowed_cores();

/// Cores' worth of time that this process's cgroups grant (a container's limit), rounded, at least 1; nullopt without a
/// quota.
std::optional<int64_t> granted_cores();

/// The most memory this process has had at a time (resident), in bytes.
int64_t peak_memory_bytes();

/// Whether standard error is a terminal, and its width in columns (80 when it does not tell).
bool stderr_is_terminal();
int64_t terminal_columns();

/// Intra-op threads for this rank: `asked`, or when that is 0 its share of the allowed cores: all of them when the
/// launcher bound the rank, else an equal part among the ranks of this host; and no more than its part of a quota.
int64_t compute_threads(int64_t asked, const LaunchInfo& launch);

}  // namespace trireme
