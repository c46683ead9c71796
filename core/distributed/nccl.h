#pragma once

#include <cstdint>
#include <memory>

#include "core/distributed/communicator.h"

namespace trireme {

/// CUDA tensors over NCCL, CPU tensors over `host`, which also carries failure notices, endings and the exchange of
/// NCCL's id. Compiled only with TRIREME_CUDA; every rank calls it.
///
/// NCCL's calls go to a stream of high priority of their own: it waits for what the caller's current stream holds at
/// the call, so a collective overlaps with what the caller queues afterwards. Work::wait() blocks the host until the
/// collective is over, as with the other transports: its tensors may then be read on any stream, and a rank that is
/// late or lost ends the wait by options.timeout, by NCCL's own asynchronous error, or by that rank's failure notice.
/// The communicator is aborted then and cannot be used for CUDA tensors again.
/// A send and a recv begun one after the other travel together, so that a ring of ranks cannot block itself; one alone
/// leaves when it is waited for.
///
/// device  index of this rank's GPU: its local rank.
/// throws  DistError: NCCL fails or does not come up within options.timeout. ConfigError: no GPU of that index.
std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator> host, int64_t device,
                                                const CommunicatorOptions& options);

}  // namespace trireme
