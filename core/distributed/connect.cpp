#include "core/distributed/connect.h"

#include <utility>

#include "core/distributed/mpi.h"
#ifdef TRIREME_CUDA
#include "core/distributed/nccl.h"
#endif
#include "core/distributed/self.h"

namespace trireme {

std::string_view launcher_name(Launcher launcher) {
  switch (launcher) {
    case Launcher::kNone:
      return "no launcher";
    case Launcher::kMpirun:
      return "mpirun";
    case Launcher::kSrun:
      return "srun";
    case Launcher::kOther:
      return "another launcher";
  }
  TRIREME_ASSERT(false, "Launcher {}", static_cast<int>(launcher));
}

namespace {

/// `host` for CPU tensors, NCCL for those on the GPU.
std::unique_ptr<Communicator> with_gpu([[maybe_unused]] std::unique_ptr<Communicator> host,
                                       [[maybe_unused]] const LaunchInfo& info,
                                       [[maybe_unused]] const CommunicatorOptions& options) {
#ifdef TRIREME_CUDA
  return nccl_communicator(std::move(host), info.local_rank, options);
#else
  throw ConfigError("connect",
                    "ranks on GPUs need a program built with -DTRIREME_CUDA=ON; got one built for the CPU; build it so "
                    "(cmake --preset cuda), or run on the CPU.");
#endif
}

}  // namespace

std::unique_ptr<Communicator> connect(const LaunchInfo& info, const CommunicatorOptions& options, TensorPlace place) {
  TRIREME_CHECK(info.launcher != Launcher::kOther, ConfigError, "launch",
                "several processes must be started by Open MPI's mpirun or by srun, or they do not meet and each does "
                "all of the work; got process {} of {}; start with mpirun -n R trireme .., or unset these variables if "
                "this process is to work alone.",
                info.rank, info.other);
  if (info.size == 1) return std::make_unique<SelfCommunicator>(options);
  CommunicatorOptions host_options = options;
  // NCCL's communicator compares all calls over the ranks itself.
  if (place == TensorPlace::kGpu) host_options.verify = false;
  auto communicator = mpi_communicator(start_mpi(), host_options);
  TRIREME_CHECK(
      communicator->size() == info.size && communicator->rank() == info.rank, DistError, "connect",
      "MPI must see the ranks that {} started; got rank {} of {} from MPI and rank {} of {} from {}; start the "
      "program with the mpirun of the MPI it was built with.",
      launcher_name(info.launcher), communicator->rank(), communicator->size(), info.rank, info.size,
      launcher_name(info.launcher));
  if (place == TensorPlace::kGpu) return with_gpu(std::move(communicator), info, options);
  return communicator;
}

}  // namespace trireme
