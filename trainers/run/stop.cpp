#include "trainers/run/stop.h"

#include <ATen/ops/tensor.h>

#include "core/tensor.h"

namespace trireme {

bool any_rank_stops(Communicator& communicator, bool this_rank) {
  const torch::Tensor stops = at::tensor({this_rank ? 1 : 0}, torch::kInt32);
  communicator.all_reduce(stops, ReduceOp::kMax).wait();
  return stops.item<int32_t>() != 0;
}

}  // namespace trireme
