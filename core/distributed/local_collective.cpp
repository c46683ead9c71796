#include "core/distributed/local_collective.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/tensor.h"

namespace trireme {
namespace {

// Plain loops and no tensor operations, so that ThreadSanitizer sees every access.

template <class T>
void combine(T* into, const T* other, int64_t count, ReduceOp op) {
  for (int64_t i = 0; i < count; ++i) {
    switch (op) {
      case ReduceOp::kMax:
        into[i] = std::max(into[i], other[i]);
        break;
      case ReduceOp::kMin:
        into[i] = std::min(into[i], other[i]);
        break;
      default:
        into[i] = static_cast<T>(into[i] + other[i]);
        break;
    }
  }
}

void combine(std::byte* into, const std::byte* other, int64_t count, c10::ScalarType dtype, ReduceOp op) {
  const auto typed = [&](auto zero) {
    using T = decltype(zero);
    combine(reinterpret_cast<T*>(into), reinterpret_cast<const T*>(other), count, op);
  };
  switch (dtype) {
    case torch::kFloat32:
      return typed(float{});
    case torch::kFloat64:
      return typed(double{});
    case torch::kInt64:
      return typed(int64_t{});
    case torch::kInt32:
      return typed(int32_t{});
    case torch::kUInt8:
    case torch::kBool:
      return typed(uint8_t{});
    default:
      TRIREME_ASSERT(false, "reduction of {}", c10::toString(dtype));
  }
}

std::byte* bytes(const torch::Tensor& tensor) { return static_cast<std::byte*>(tensor.data_ptr()); }

void copy_bytes(std::byte* to, const std::byte* from, std::size_t count) {
  if (count > 0) std::memcpy(to, from, count);
}

/// All ranks' inputs combined in rank order.
std::vector<std::byte> reduced_input(std::span<const Collective> calls) {
  const torch::Tensor& first = calls.front().input;
  std::vector<std::byte> sum(bytes(first), bytes(first) + first.nbytes());
  for (std::size_t rank = 1; rank < calls.size(); ++rank) {
    combine(sum.data(), bytes(calls[rank].input), first.numel(), first.scalar_type(), calls.front().reduce);
  }
  return sum;
}

}  // namespace

bool fit_together(const Collective& a, const Collective& b) {
  const auto fit = [](const torch::Tensor& x, const torch::Tensor& y) {
    return x.defined() == y.defined() &&
           (!x.defined() || (x.numel() == y.numel() && x.scalar_type() == y.scalar_type()));
  };
  return a.op == b.op && a.reduce == b.reduce && a.peer == b.peer && fit(a.input, b.input) && fit(a.output, b.output);
}

void execute_locally(std::span<const Collective> calls) {
  switch (calls.front().op) {
    case CollectiveOp::kAllReduce: {
      const std::vector<std::byte> sum = reduced_input(calls);
      for (const Collective& call : calls) copy_bytes(bytes(call.output), sum.data(), sum.size());
      break;
    }
    case CollectiveOp::kReduceScatter: {
      const std::vector<std::byte> sum = reduced_input(calls);
      for (std::size_t rank = 0; rank < calls.size(); ++rank) {
        const std::size_t share = calls[rank].output.nbytes();
        copy_bytes(bytes(calls[rank].output), sum.data() + rank * share, share);
      }
      break;
    }
    case CollectiveOp::kAllGather:
      for (const Collective& to : calls) {
        for (std::size_t rank = 0; rank < calls.size(); ++rank) {
          const std::size_t share = calls[rank].input.nbytes();
          copy_bytes(bytes(to.output) + rank * share, bytes(calls[rank].input), share);
        }
      }
      break;
    case CollectiveOp::kBroadcast: {
      const Collective& root = calls[static_cast<std::size_t>(calls.front().peer)];
      for (const Collective& call : calls) {
        if (&call != &root) copy_bytes(bytes(call.output), bytes(root.input), root.input.nbytes());
      }
      break;
    }
    case CollectiveOp::kBarrier:
      break;
    case CollectiveOp::kSend:
    case CollectiveOp::kRecv:
      TRIREME_ASSERT(false, "send and recv are messages, not meetings");
  }
}

}  // namespace trireme
