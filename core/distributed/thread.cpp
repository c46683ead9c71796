#include "core/distributed/thread.h"

#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "core/distributed/thread_group.h"

namespace trireme {
namespace {

class PendingMeeting final : public PendingCollective {
 public:
  PendingMeeting(ThreadGroup& group, int64_t rank, uint64_t sequence, const LedgerEntry& entry,
                 std::chrono::milliseconds timeout)
      : group_(group), rank_(rank), sequence_(sequence), entry_(entry), timeout_(timeout) {}
  void wait() override { group_.wait_for_all(rank_, sequence_, entry_, timeout_); }

 private:
  ThreadGroup& group_;
  int64_t rank_;
  uint64_t sequence_;
  LedgerEntry entry_;
  std::chrono::milliseconds timeout_;
};

class PendingReceive final : public PendingCollective {
 public:
  PendingReceive(ThreadGroup& group, int64_t rank, std::size_t index, const Collective& call,
                 std::chrono::milliseconds timeout)
      : group_(group), rank_(rank), index_(index), call_(call), timeout_(timeout) {}
  void wait() override { group_.receive(rank_, index_, call_, timeout_); }

 private:
  ThreadGroup& group_;
  int64_t rank_;
  std::size_t index_;
  Collective call_;
  std::chrono::milliseconds timeout_;
};

class Sent final : public PendingCollective {
 public:
  void wait() override {}
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(ThreadGroup& group, int64_t rank, const CommunicatorOptions& options)
      : Communicator(options), group_(group), rank_(rank) {}
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return group_.ranks(); }
  void check_peers() override { group_.check_peers(rank_); }
  void announce_failure(const RankEnding& mine) override { group_.announce_failure(rank_, mine); }
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine,
                                                        std::chrono::milliseconds patience) override {
    return group_.gather_endings(rank_, mine, patience);
  }

 protected:
  void abort_group(int exit_code) override {
    // The other ranks are threads of this process, here a test, which must live on.
    group_.announce_failure(rank_, {RankEnding::Kind::kFailed, exit_code});
    throw DistError("dist",
                    fmt::format("the job must end in order; got an abort by rank {} with exit code {}; see its error.",
                                rank_, exit_code));
  }
  std::unique_ptr<PendingCollective> start(const Collective& call) override {
    require_cpu(call);
    switch (call.op) {
      case CollectiveOp::kSend:
        group_.send(rank_, call);
        return std::make_unique<Sent>();
      case CollectiveOp::kRecv:
        return std::make_unique<PendingReceive>(group_, rank_, received_[call.peer]++, call, options().timeout);
      default:
        break;
    }
    const uint64_t sequence = sequence_++;
    group_.arrive(rank_, sequence, call);
    return std::make_unique<PendingMeeting>(group_, rank_, sequence, call.entry, options().timeout);
  }

 private:
  ThreadGroup& group_;
  int64_t rank_;
  uint64_t sequence_ = 0;
  std::map<int64_t, std::size_t> received_;
};

/// The errors that ranks ended with. The first counts; PeerFailed is only its echo.
class FirstError {
 public:
  void add(std::exception_ptr error, bool echo) {
    const std::lock_guard lock(mutex_);
    std::exception_ptr& first = echo ? first_echo_ : first_;
    if (first == nullptr) first = std::move(error);
  }
  void rethrow() const {
    if (first_ != nullptr) std::rethrow_exception(first_);
    if (first_echo_ != nullptr) std::rethrow_exception(first_echo_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_, first_echo_;
};

}  // namespace

void run_ranks(int64_t ranks, const CommunicatorOptions& options, const std::function<void(Communicator&)>& rank_main) {
  TRIREME_ASSERT(ranks >= 1, "{} ranks", ranks);
  ThreadGroup group(ranks, options.grace);
  FirstError first_error;
  {
    std::vector<std::jthread> threads;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        ThreadCommunicator communicator(group, rank, options);
        try {
          rank_main(communicator);
        } catch (const PeerFailed&) {
          first_error.add(std::current_exception(), true);
        } catch (const Error& error) {
          first_error.add(std::current_exception(), false);
          communicator.announce_failure({RankEnding::Kind::kFailed, error.exit_code()});
        } catch (const std::exception&) {
          first_error.add(std::current_exception(), false);
          communicator.announce_failure({RankEnding::Kind::kFailed, InternalError::kExitCode});
        }
        group.set_returned(rank);
      });
    }
  }
  first_error.rethrow();
}

void run_ranks(int64_t ranks, const std::function<void(Communicator&)>& rank_main) {
  run_ranks(ranks, CommunicatorOptions{}, rank_main);
}

}  // namespace trireme
