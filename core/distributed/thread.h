#pragma once

#include <cstdint>
#include <functional>

#include "core/distributed/communicator.h"

namespace trireme {

/// Runs `rank_main` on `ranks` threads at once, each with its own rank's Communicator of one group, and returns when
/// all have returned: a job of R ranks inside one process, for tests. CPU tensors. Reductions add in rank order.
/// The transport sees every rank's call, so it names the ranks that have not arrived at a timeout, and ranks whose
/// calls differ even without options.verify.
/// throws the error of the rank that failed first; the PeerFailed that it causes on the others is not rethrown.
///        DistError when a rank calls abort().
void run_ranks(int64_t ranks, const CommunicatorOptions& options, const std::function<void(Communicator&)>& rank_main);
void run_ranks(int64_t ranks, const std::function<void(Communicator&)>& rank_main);

}  // namespace trireme
