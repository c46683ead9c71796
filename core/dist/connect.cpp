#include "core/dist/connect.h"

#include "core/dist/mpi.h"
#include "core/dist/self.h"

namespace trireme {

std::string_view launcher_name(Launcher launcher) {
  switch (launcher) {
    case Launcher::kNone:
      return "no launcher";
    case Launcher::kMpirun:
      return "mpirun";
    case Launcher::kSrun:
      return "srun";
  }
  TRIREME_ASSERT(false, "Launcher {}", static_cast<int>(launcher));
}

std::unique_ptr<Communicator> connect(const LaunchInfo& info, const CommunicatorOptions& options) {
  if (info.size == 1) return std::make_unique<SelfCommunicator>(options);
  auto communicator = mpi_communicator(start_mpi(), options);
  TRIREME_CHECK(
      communicator->size() == info.size && communicator->rank() == info.rank, DistError, "connect",
      "MPI must see the ranks that {} started; got rank {} of {} from MPI and rank {} of {} from {}; start the "
      "program with the mpirun of the MPI it was built with.",
      launcher_name(info.launcher), communicator->rank(), communicator->size(), info.rank, info.size,
      launcher_name(info.launcher));
  return communicator;
}

}  // namespace trireme
