#include "core/distributed/pieces.h"

#include <algorithm>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace trireme {
namespace {

/// Elements [begin, begin + count) of each of the ranks' rows of [R, ..].
torch::Tensor columns(const torch::Tensor& of_all, int64_t ranks, int64_t begin, int64_t count) {
  return of_all.view({ranks, -1}).narrow(1, begin, count);
}

}  // namespace

int64_t elements_at_a_time(const Collective& call, int64_t ranks, int64_t piece_bytes) {
  const torch::Tensor& any = call.input.defined() ? call.input : call.output;
  if (!any.defined()) return 0;  // a barrier
  int64_t largest = 0;
  for (const torch::Tensor& tensor : {call.input, call.output}) {
    if (tensor.defined()) largest = std::max(largest, tensor.numel());
  }
  const int64_t limit = std::max<int64_t>(1, piece_bytes / static_cast<int64_t>(any.element_size()));
  if (largest <= limit) return call.entry.count;
  return largest == call.entry.count ? limit : std::max<int64_t>(1, limit / ranks);
}

Collective piece_of(const Collective& call, int64_t ranks, int64_t begin, int64_t count) {
  Collective piece = call;
  const auto part_of = [&](const torch::Tensor& tensor) {
    return tensor.defined() ? tensor.view({-1}).narrow(0, begin, count) : tensor;
  };
  switch (call.op) {
    case CollectiveOp::kAllGather:
      piece.input = part_of(call.input);
      piece.output = at::empty({ranks, count}, call.output.options());
      break;
    case CollectiveOp::kReduceScatter:
      piece.input = columns(call.input, ranks, begin, count).contiguous();
      piece.output = part_of(call.output);
      break;
    default:
      piece.input = part_of(call.input);
      piece.output = call.output.is_same(call.input) ? piece.input : part_of(call.output);
      break;
  }
  return piece;
}

void store_piece(const Collective& call, const Collective& piece, int64_t ranks, int64_t begin) {
  if (call.op != CollectiveOp::kAllGather) return;
  columns(call.output, ranks, begin, piece.input.numel()).copy_(piece.output);
}

}  // namespace trireme
