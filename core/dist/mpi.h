#pragma once

#include <memory>

#include "core/dist/connect.h"

namespace trireme {

/// Starts MPI and returns the communicator over all of the launcher's ranks; destroying it calls MPI_Finalize. Callers
/// use connect() (core/dist/connect.h). CPU tensors, at most 2^31 - 1 elements a call.
/// Every collective is one of MPI's nonblocking ones, driven by polling inside wait(), so each wait can end by its
/// timeout or by another rank's failure notice.
/// The level is MPI_THREAD_SERIALIZED: a reducer may issue a collective on an autograd thread and wait for it on
/// another, never two at once. FUNNELED would forbid that; MULTIPLE would pay for locks that nobody needs.
std::unique_ptr<Communicator> connect_mpi(const LaunchInfo& info, const CommunicatorOptions& options);

}  // namespace trireme
