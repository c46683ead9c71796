#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/distributed/communicator.h"
#include "core/tensor.h"

namespace trireme {

// What a Communicator and its transports (self, thread, mpi) say to each other. For core/distributed/*.cpp only.

enum class CollectiveOp { kAllReduce, kAllGather, kReduceScatter, kBroadcast, kBarrier, kSend, kRecv };
std::string_view op_name(CollectiveOp op);

/// What the ranks must agree on, and what messages say of a collective.
struct LedgerEntry {
  /// 1 for a rank's first collective; 0 for send and recv, which have none.
  uint64_t number = 0;
  CollectiveOp op = CollectiveOp::kBarrier;
  ReduceOp reduce = ReduceOp::kSum;
  /// The root of a broadcast, the other rank of send and recv, else -1.
  int64_t peer = -1;
  /// Elements that each rank contributes.
  int64_t count = 0;
  c10::ScalarType dtype = c10::ScalarType::Byte;

  bool operator==(const LedgerEntry&) const = default;
  /// "[12] all_reduce sum 4096 float32", "[13] broadcast from 0, 7 int64", "[14] barrier", "send to 1, 7 int64".
  std::string text() const;
};

/// One call as its transport sees it: op, reduce and peer with their meaning in LedgerEntry; input is read and output
/// written, contiguous, the same tensor where the op works in place, undefined where it has none.
struct Collective {
  CollectiveOp op;
  ReduceOp reduce;
  int64_t peer;
  torch::Tensor input;
  torch::Tensor output;
  /// For messages: what the caller asked for. dtype differs from the tensors' where a reduction is taken in float32.
  LedgerEntry entry;
};

/// A collective that a transport has begun. The transport keeps its tensors alive until it is over, or for as long as
/// it may touch them when the pending collective is dropped before.
class PendingCollective {
 public:
  virtual ~PendingCollective() = default;
  /// throws DistError (timeout_error), PeerFailed.
  virtual void wait() = 0;
};

/// "[dist] every rank must enter [12] all_reduce sum 4096 float32 within 600 s; got rank 0 waiting and ranks 2, 3 not
/// arrived; .." An empty `missing` means that the transport cannot tell. Ranks that are known to be `stopped` are named
/// as such.
DistError timeout_error(const LedgerEntry& entry, int64_t rank, std::chrono::milliseconds timeout,
                        std::span<const int64_t> missing, std::span<const int64_t> stopped = {});
/// "[dist] every rank must live until the job ends; got rank 1 gone while rank 0 waited in [12] ..; .."
DistError lost_rank_error(const LedgerEntry& entry, int64_t rank, int64_t lost);
/// "[dist] every rank must make the same calls in the same order; got rank 0 in [12] .. and rank 1 in [12] ..; .."
DistError mismatch_error(int64_t rank, const LedgerEntry& entry, int64_t other_rank, const LedgerEntry& other);
/// "rank 1 stopped (by SIGSTOP, Ctrl-Z or a debugger)"
std::string stopped_text(std::span<const int64_t> ranks);
/// "rank 2", "ranks 2, 3"
std::string ranks_text(std::span<const int64_t> ranks);
/// throws ShapeError when a tensor of the call is not on the CPU.
void require_cpu(const Collective& call);

}  // namespace trireme
