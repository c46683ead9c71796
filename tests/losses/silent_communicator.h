#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/distributed/collective.h"
#include "core/distributed/communicator.h"

namespace trireme::test {

/// Which calls on floating-point tensors do nothing.
struct SilentCalls {
  bool all_gather = false;      ///< every rank gets only its own rows; the others' are 0
  bool reduce_scatter = false;  ///< every rank keeps its own part unsummed
  bool messages = false;        ///< what is received is 0
};

/// Another communicator with some of its calls stubbed out: a test of equality over ranks must fail on it.
class SilentCommunicator final : public Communicator {
 public:
  SilentCommunicator(Communicator& real, SilentCalls silent)
      : Communicator(real.options()), real_(real), silent_(silent) {}
  int64_t rank() const override { return real_.rank(); }
  int64_t size() const override { return real_.size(); }
  void check_peers() override { real_.check_peers(); }
  void announce_failure(const RankEnding& mine) override { real_.announce_failure(mine); }
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine,
                                                        std::chrono::milliseconds patience) override {
    return real_.gather_endings(mine, patience);
  }

 protected:
  void abort_group(int exit_code) override { real_.abort(exit_code); }
  std::unique_ptr<PendingCollective> start(const Collective& call) override {
    const bool numbers = (call.input.defined() && call.input.is_floating_point()) ||
                         (call.output.defined() && call.output.is_floating_point());
    if (numbers && silent_.all_gather && call.op == CollectiveOp::kAllGather) {
      call.output.zero_();
      call.output[rank()].copy_(call.input);
      return std::make_unique<Over>();
    }
    if (numbers && silent_.reduce_scatter && call.op == CollectiveOp::kReduceScatter) {
      call.output.copy_(call.input[rank()]);
      return std::make_unique<Over>();
    }
    if (numbers && silent_.messages && call.op == CollectiveOp::kSend) return std::make_unique<Over>();
    if (numbers && silent_.messages && call.op == CollectiveOp::kRecv) {
      call.output.zero_();
      return std::make_unique<Over>();
    }
    return std::make_unique<Real>(forward(call));
  }

 private:
  struct Over final : PendingCollective {
    void wait() override {}
  };
  struct Real final : PendingCollective {
    explicit Real(Work of) : work(std::make_unique<Work>(std::move(of))) {}
    void wait() override { work->wait(); }
    std::unique_ptr<Work> work;
  };
  Work forward(const Collective& call) {
    switch (call.op) {
      case CollectiveOp::kAllReduce:
        return real_.all_reduce(call.output, call.reduce);
      case CollectiveOp::kAllGather:
        return real_.all_gather(call.output, call.input);
      case CollectiveOp::kReduceScatter:
        return real_.reduce_scatter(call.output, call.input, call.reduce);
      case CollectiveOp::kSend:
        return real_.send(call.input, call.peer);
      case CollectiveOp::kRecv:
        return real_.recv(call.output, call.peer);
      case CollectiveOp::kBroadcast:
      case CollectiveOp::kBarrier:
        break;
    }
    throw InternalError("silent_communicator", "the losses must not call this");
  }

  Communicator& real_;
  SilentCalls silent_;
};

}  // namespace trireme::test
