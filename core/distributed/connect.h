#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/distributed/communicator.h"

namespace trireme {

/// What started this process, for messages.
enum class Launcher {
  kNone,
  kMpirun,
  kSrun,
  kOther,  ///< one whose processes do not meet here; refused, for each would do all of the work
};
std::string_view launcher_name(Launcher launcher);

/// This process's place in its job, as launch/ read it from the environment; core never reads the environment.
struct LaunchInfo {
  Launcher launcher = Launcher::kNone;
  int64_t rank = 0;
  int64_t size = 1;
  /// Among the ranks of this host: which GPU to take, how to share the cores.
  int64_t local_rank = 0;
  int64_t local_size = 1;
  /// Of kOther: its name, and the variables by which it was known.
  std::string_view other = {};
};

/// Where the tensors of a job's collectives are: all on the CPU, or on this rank's GPU too (its local rank's).
enum class TensorPlace { kCpu, kGpu };

/// The communicator of this process: Self for one rank, which never touches MPI, so that the program starts without a
/// launcher; MPI otherwise, with NCCL beside it for kGpu. Once per process, before threads that use it; destroying it
/// ends MPI.
/// throws DistError: MPI does not start, or sees other ranks than the launcher announced (two MPI installations); NCCL
///        does not start. ConfigError: another launcher's process (Launcher::kOther); kGpu in a program built without
///        CUDA, or more ranks than GPUs on a host.
std::unique_ptr<Communicator> connect(const LaunchInfo& info, const CommunicatorOptions& options,
                                      TensorPlace place = TensorPlace::kCpu);

/// The MPI library in use: "Open MPI v4.1.4". Starts nothing.
std::string mpi_library_version();

}  // namespace trireme
