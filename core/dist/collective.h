#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include <torch/types.h>

#include "core/dist/communicator.h"

namespace trireme {

/// One call of a Communicator, as its transport sees it. For the implementations in core/dist only.
struct Collective {
  enum class Op { kAllReduce, kAllGather, kReduceScatter, kBroadcast, kBarrier, kSend, kRecv };
  Op op;
  /// Read: equal to output where the op works in place; undefined for a barrier.
  torch::Tensor input;
  /// Written.
  torch::Tensor output;
  ReduceOp reduce = ReduceOp::kSum;
  /// The root of a broadcast, the other rank of send and recv, else -1.
  int64_t peer = -1;
  /// 1 for a rank's first collective. 0: send, recv and the exchange of verify, which have none.
  uint64_t number = 0;

  /// Elements that each rank contributes: what must be equal over ranks.
  int64_t count() const;
  /// "[12] all_reduce sum 4096 float32", "[13] broadcast from 0, 7 int64", "[14] barrier".
  std::string text() const;
};

/// A collective that a transport has begun. The transport keeps its tensors alive until it is over or, when the pending
/// collective is dropped before, for as long as it may touch them.
class PendingCollective {
 public:
  virtual ~PendingCollective() = default;
  /// throws DistError (timeout_error), PeerFailed.
  virtual void wait() = 0;
};

/// "[dist] every rank must enter [12] all_reduce sum 4096 float32 within 600 s; got rank 0 waiting and ranks 2, 3 not
/// arrived; .." An empty `missing` means that the transport cannot tell.
DistError timeout_error(const Collective& call, int64_t rank, std::chrono::milliseconds timeout,
                        std::span<const int64_t> missing);
/// "[dist] every rank must make the same calls in the same order; got rank 0 [12] .. and rank 1 [12] ..; .."
DistError mismatch_error(int64_t rank, const std::string& call, int64_t other_rank, const std::string& other_call);
/// throws ShapeError when a tensor of the call is not on the CPU.
void require_cpu(const Collective& call);

}  // namespace trireme
