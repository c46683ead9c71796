#pragma once

#include <memory>
#include <utility>

#include "core/distributed/collective.h"
#include "core/distributed/communicator.h"

namespace trireme::test {

/// Passes everything on but one kind of collective, which it drops: each rank keeps what it had. A test of something
/// distributed must fail on it.
class StubbedCommunicator final : public Communicator {
 public:
  StubbedCommunicator(Communicator& inner, CollectiveOp dropped)
      : Communicator(inner.options()), inner_(inner), dropped_(dropped) {}
  int64_t rank() const override { return inner_.rank(); }
  int64_t size() const override { return inner_.size(); }
  void check_peers() override { inner_.check_peers(); }
  void announce_failure(const RankEnding& mine) override { inner_.announce_failure(mine); }
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine,
                                                        std::chrono::milliseconds patience) override {
    return inner_.gather_endings(mine, patience);
  }

 protected:
  void abort_group(int exit_code) override { inner_.abort(exit_code); }
  std::unique_ptr<PendingCollective> start(const Collective& call) override {
    if (call.op == dropped_) return std::make_unique<Pending>(std::nullopt);
    return std::make_unique<Pending>(pass_on(call));
  }

 private:
  class Pending final : public PendingCollective {
   public:
    explicit Pending(std::optional<Work> work) : work_(std::move(work)) {}
    void wait() override {
      if (work_) work_->wait();
    }

   private:
    std::optional<Work> work_;
  };

  std::optional<Work> pass_on(const Collective& call) {
    switch (call.op) {
      case CollectiveOp::kAllReduce:
        return inner_.all_reduce(call.output, call.reduce);
      case CollectiveOp::kAllGather:
        return inner_.all_gather(call.output, call.input);
      case CollectiveOp::kReduceScatter:
        return inner_.reduce_scatter(call.output, call.input, call.reduce);
      case CollectiveOp::kBroadcast:
        return inner_.broadcast(call.output, call.peer);
      case CollectiveOp::kBarrier:
        inner_.barrier();
        return std::nullopt;
      case CollectiveOp::kSend:
        return inner_.send(call.input, call.peer);
      case CollectiveOp::kRecv:
        return inner_.recv(call.output, call.peer);
    }
    return std::nullopt;
  }

  Communicator& inner_;
  CollectiveOp dropped_;
};

}  // namespace trireme::test
