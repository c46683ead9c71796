#pragma once

#include "core/distributed/communicator.h"
#include "core/tensor.h"

namespace trireme {

/// A tensor on its way to the next rank of the ring while the previous rank's comes in. Even ranks post their send
/// first, odd ranks their receive, so that no transport can wait in a circle.
/// `outgoing` and `incoming`, of equal count on all ranks, stay untouched until wait(). At least two ranks.
class RingShift {
 public:
  RingShift(const torch::Tensor& outgoing, const torch::Tensor& incoming, Communicator& comm);
  void wait();

 private:
  Work first_, second_;
};

}  // namespace trireme
