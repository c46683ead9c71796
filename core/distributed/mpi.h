#pragma once

#include <memory>

#include "core/distributed/communicator.h"

namespace trireme {

/// MPI itself, from MPI_Init_thread to MPI_Finalize. Once per process: MPI cannot be started twice.
/// The level is MPI_THREAD_SERIALIZED: a reducer may issue a collective on an autograd thread and wait for it on
/// another, never two at once. FUNNELED would forbid that; MULTIPLE would pay for locks that nobody needs.
class MpiSession;

/// throws DistError: MPI cannot be used from more than one thread.
std::shared_ptr<MpiSession> start_mpi();

/// A communicator over all ranks that MPI was started with, its traffic apart from any other communicator's; every rank
/// calls it. CPU tensors; options.piece_bytes below 2 GiB: MPI counts in 32 bits. Each call is one of MPI's nonblocking
/// ones, driven by polling inside wait(), so each wait can end by its timeout or by another rank's failure notice.
/// throws DistError: an MPI call fails.
std::unique_ptr<Communicator> mpi_communicator(std::shared_ptr<MpiSession> session, const CommunicatorOptions& options);

/// Ranks of this host whose process is held (SIGSTOP, a debugger), for messages; none where the communicator is no
/// mpi_communicator().
std::vector<int64_t> stopped_ranks(const Communicator& communicator);

}  // namespace trireme
