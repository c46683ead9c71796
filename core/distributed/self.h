#pragma once

#include "core/distributed/communicator.h"

namespace trireme {

/// The one rank of a job of one: every collective is a copy or nothing. Tensors of any device.
class SelfCommunicator final : public Communicator {
 public:
  explicit SelfCommunicator(const CommunicatorOptions& options = {}) : Communicator(options) {}
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void check_peers() override {}
  void announce_failure(const RankEnding&) override {}
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine, std::chrono::milliseconds) override {
    return {mine};
  }

 protected:
  void abort_group(int exit_code) override;
  std::unique_ptr<PendingCollective> start(const Collective& call) override;
};

}  // namespace trireme
