#include "core/distributed/collective.h"

#include <fmt/ranges.h>

#include "core/shape.h"

namespace trireme {
namespace {

std::string_view reduce_name(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return "sum";
    case ReduceOp::kMean:
      return "mean";
    case ReduceOp::kMax:
      return "max";
    case ReduceOp::kMin:
      return "min";
  }
  TRIREME_ASSERT(false, "ReduceOp {}", static_cast<int>(op));
}

}  // namespace

std::string_view op_name(CollectiveOp op) {
  switch (op) {
    case CollectiveOp::kAllReduce:
      return "all_reduce";
    case CollectiveOp::kAllGather:
      return "all_gather";
    case CollectiveOp::kReduceScatter:
      return "reduce_scatter";
    case CollectiveOp::kBroadcast:
      return "broadcast";
    case CollectiveOp::kBarrier:
      return "barrier";
    case CollectiveOp::kSend:
      return "send";
    case CollectiveOp::kRecv:
      return "recv";
  }
  TRIREME_ASSERT(false, "CollectiveOp {}", static_cast<int>(op));
}

std::string LedgerEntry::text() const {
  std::string text = number == 0 ? std::string(op_name(op)) : fmt::format("[{}] {}", number, op_name(op));
  switch (op) {
    case CollectiveOp::kBarrier:
      return text;
    case CollectiveOp::kAllReduce:
    case CollectiveOp::kReduceScatter:
      text += fmt::format(" {}", reduce_name(reduce));
      break;
    case CollectiveOp::kBroadcast:
    case CollectiveOp::kRecv:
      text += fmt::format(" from {},", peer);
      break;
    case CollectiveOp::kSend:
      text += fmt::format(" to {},", peer);
      break;
    case CollectiveOp::kAllGather:
      break;
  }
  return text + fmt::format(" {} {}", count, dtype_name(dtype));
}

std::string ranks_text(std::span<const int64_t> ranks) {
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", fmt::join(ranks, ", "));
}

std::string stopped_text(std::span<const int64_t> ranks) {
  return ranks_text(ranks) + " stopped (by SIGSTOP, Ctrl-Z or a debugger)";
}

DistError timeout_error(const LedgerEntry& entry, int64_t rank, std::chrono::milliseconds timeout,
                        std::span<const int64_t> missing, std::span<const int64_t> stopped) {
  const double timeout_s = std::chrono::duration<double>(timeout).count();
  const std::string state = !stopped.empty()  ? stopped_text(stopped)
                            : missing.empty() ? "others not arrived"
                                              : ranks_text(missing) + " not arrived";
  return DistError(
      "dist",
      fmt::format("every rank must enter {} within {:g} s; got rank {} waiting and {}; {}, or raise "
                  "the timeout.",
                  entry.text(), timeout_s, rank, state,
                  stopped.empty() ? "look for a rank that is stuck or slow" : "let it go on in time (kill -CONT)"));
}

DistError lost_rank_error(const LedgerEntry& entry, int64_t rank, int64_t lost) {
  return DistError("dist", fmt::format("every rank must live until the job ends; got rank {} gone (killed, or out of "
                                       "memory) while rank {} waited in {}; see dmesg, and start the job again.",
                                       lost, rank, entry.text()));
}

DistError mismatch_error(int64_t rank, const LedgerEntry& entry, int64_t other_rank, const LedgerEntry& other) {
  return DistError("dist", fmt::format("every rank must make the same calls in the same order; got rank {} in {} and "
                                       "rank {} in {}; look for a branch that depends on a rank's data.",
                                       rank, entry.text(), other_rank, other.text()));
}

void require_cpu(const Collective& call) {
  for (const torch::Tensor& tensor : {call.input, call.output}) {
    if (!tensor.defined()) continue;
    TRIREME_CHECK(tensor.is_cpu(), ShapeError, op_name(call.op),
                  "tensors must be on the CPU; got {} on {}; move it, or use a communicator of that device.",
                  shape_string(tensor), tensor.device().str());
  }
}

}  // namespace trireme
