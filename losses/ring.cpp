#include "losses/ring.h"

namespace trireme {
namespace {

Work send_on(const torch::Tensor& tensor, Communicator& comm) {
  return comm.send(tensor, (comm.rank() + 1) % comm.size());
}
Work receive(const torch::Tensor& tensor, Communicator& comm) {
  return comm.recv(tensor, (comm.rank() + comm.size() - 1) % comm.size());
}
bool sends_first(const Communicator& comm) { return comm.rank() % 2 == 0; }

}  // namespace

RingShift::RingShift(const torch::Tensor& outgoing, const torch::Tensor& incoming, Communicator& comm)
    : first_(sends_first(comm) ? send_on(outgoing, comm) : receive(incoming, comm)),
      second_(sends_first(comm) ? receive(incoming, comm) : send_on(outgoing, comm)) {}

void RingShift::wait() {
  first_.wait();
  second_.wait();
}

}  // namespace trireme
