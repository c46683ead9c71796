#include "core/distributed/thread.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include <gmock/gmock.h>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include "core/distributed/collective.h"
#include "core/distributed/run_as_rank.h"
#include "core/distributed/self.h"
#include "tests/core/distributed/communicator_suite.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Ranks self() {
  return {"self", 1, false, [](const CommunicatorOptions& options, const auto& body) {
            SelfCommunicator communicator(options);
            body(communicator);
          }};
}

Ranks threads(int64_t ranks) {
  return {fmt::format("threads{}", ranks), ranks, true,
          [ranks](const CommunicatorOptions& options, const auto& body) { run_ranks(ranks, options, body); }};
}

INSTANTIATE_TEST_SUITE_P(Self, CommunicatorTest, ::testing::Values(self()));
INSTANTIATE_TEST_SUITE_P(Thread, CommunicatorTest, ::testing::Values(threads(1), threads(2), threads(4)),
                         [](const auto& instance) { return instance.param.name; });

/// One of two ranks, the other of which never answers: what a transport is asked for, and nothing done.
class RecordingCommunicator final : public Communicator {
 public:
  explicit RecordingCommunicator(const CommunicatorOptions& options) : Communicator(options) {}
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 2; }
  void check_peers() override {}
  void announce_failure(const RankEnding&) override {}
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine, std::chrono::milliseconds) override {
    return {mine, std::nullopt};
  }

  int64_t pieces = 0, elements = 0, largest_bytes = 0;  ///< elements: that a rank contributes

 protected:
  [[noreturn]] void abort_group(int) override { std::abort(); }
  std::unique_ptr<PendingCollective> start(const Collective& call) override {
    ++pieces;
    for (const at::Tensor& tensor : {call.input, call.output}) {
      if (tensor.defined()) largest_bytes = std::max(largest_bytes, static_cast<int64_t>(tensor.nbytes()));
    }
    const bool scatters = call.op == CollectiveOp::kReduceScatter || call.op == CollectiveOp::kRecv;
    elements += (scatters ? call.output : call.input).numel();
    struct Done final : PendingCollective {
      void wait() override {}
    };
    return std::make_unique<Done>();
  }
};

TEST(Pieces, AreNoLargerThanAskedForWhateverTheSizeOfTheTensors) {
  // Shapes alone, without memory: 1.2 million embeddings of 3584 values are over 2^32 elements.
  const auto shape_only = at::TensorOptions(at::kFloat).device(at::kMeta);
  const std::vector<int64_t> rows = {1'200'000, 3584}, of_both = {2, 1'200'000, 3584};
  const at::Tensor one = at::empty(rows, shape_only), both = at::empty(of_both, shape_only);
  const std::vector<std::function<Work(Communicator&)>> calls = {
      [&](Communicator& comm) { return comm.all_reduce(one, ReduceOp::kMean); },
      [&](Communicator& comm) { return comm.all_gather(both, one); },
      [&](Communicator& comm) { return comm.reduce_scatter(one, both, ReduceOp::kSum); },
      [&](Communicator& comm) { return comm.broadcast(one, 1); },
      [&](Communicator& comm) { return comm.send(one, 1); },
      [&](Communicator& comm) { return comm.recv(one, 1); },
  };
  for (const int64_t piece_bytes : {CommunicatorOptions{}.piece_bytes, int64_t{1'000'001}}) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      RecordingCommunicator comm({.piece_bytes = piece_bytes});
      calls[i](comm).wait();
      EXPECT_EQ(comm.elements, one.numel()) << "call " << i;
      EXPECT_LE(comm.largest_bytes, piece_bytes) << "call " << i;
      EXPECT_LT(comm.largest_bytes, int64_t{1} << 31) << "a transport that counts in 32 bits";
      const int64_t fewest = static_cast<int64_t>((i == 1 || i == 2 ? both : one).nbytes()) / piece_bytes;
      EXPECT_LE(comm.pieces, fewest + 2) << "call " << i << ": pieces smaller than need be";
    }
  }
}

TEST(RunRanks, RethrowsTheFirstErrorNotItsEcho) {
  const std::string message = message_of<DataError>([] {
    run_ranks(4, [](Communicator& comm) {
      if (comm.rank() == 2) throw DataError("test", "records must be readable; got none; bring some.");
      comm.barrier();
    });
  });
  EXPECT_THAT(message, HasSubstr("records must be readable"));
}

TEST(RunRanks, RunsEachRankOnAThreadOfItsOwn) {
  std::atomic<int64_t> together = 0;
  run_ranks(4, [&](Communicator& comm) {
    ++together;
    comm.barrier();
    EXPECT_EQ(together, 4);
  });
}

TEST(RunRanks, NamesTheRankThatReturnedWithoutTheCall) {
  const std::string message = message_of<DistError>([] {
    run_ranks(3, [](Communicator& comm) {
      comm.barrier();
      if (comm.rank() != 1) comm.barrier();
    });
  });
  EXPECT_THAT(message, AllOf(HasSubstr("[2] barrier"), HasSubstr("rank 1 returned without it")));
}

TEST(RunRanks, DoesNotBlameARankThatIsOnlyLate) {
  std::atomic<bool> waiter_gave_up = false;
  const std::string message = message_of<DistError>([&] {
    run_ranks(3, [&](Communicator& comm) {
      if (comm.rank() == 1) return;
      if (comm.rank() == 0) waiter_gave_up.wait(false);
      try {
        comm.barrier();
      } catch (const Error&) {
        waiter_gave_up = true;
        waiter_gave_up.notify_all();
        throw;
      }
    });
  });
  EXPECT_THAT(message, HasSubstr("got rank 2 waiting and rank 1 returned without it"));
}

TEST(RunRanks, NamesCallsThatDifferWithoutVerify) {
  const std::string message = message_of<DistError>([] {
    run_ranks(2, [](Communicator& comm) { comm.all_reduce(at::ones({2 + comm.rank()}), ReduceOp::kSum).wait(); });
  });
  EXPECT_THAT(message, HasSubstr("rank 0 in [1] all_reduce sum 2 float32 and rank 1 in [1] all_reduce sum 3 float32"));
}

TEST(RunRanks, LateRankIsToldWhoGaveUp) {
  const CommunicatorOptions options{.timeout = std::chrono::milliseconds(50)};
  std::atomic<bool> gave_up = false;
  run_ranks(2, options, [&](Communicator& comm) {
    if (comm.rank() == 0) {
      EXPECT_THROW(comm.barrier(), DistError);
      gave_up = true;
      return;
    }
    while (!gave_up) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    try {
      comm.barrier();
      ADD_FAILURE() << "the barrier took place with a rank that had left it";
    } catch (const PeerFailed& error) {
      EXPECT_EQ(error.rank, 0);
      EXPECT_EQ(error.rank_exit_code, DistError::kExitCode);
    }
  });
}

/// A rank that neither ends nor hears: the ranks that wait for it must come out by themselves.
TEST(RunAsRank, SpeakerCutsTheJobOffWhenARankDoesNotComeInTime) {
  const CommunicatorOptions options{.timeout = std::chrono::seconds(20), .grace = std::chrono::milliseconds(100)};
  std::atomic<int> spoken = 0;
  std::atomic<bool> over = false;
  const std::string message = message_of<DistError>([&] {
    run_ranks(3, options, [&](Communicator& comm) {
      if (comm.rank() == 1) {
        while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // stuck
        return;
      }
      const auto work = [&]() -> int {
        if (comm.rank() == 2) throw DataError("test", "records must be readable; got none; bring some.");
        comm.barrier();
        return 0;
      };
      try {
        run_as_rank(comm, work, [&](const std::string&) { ++spoken; });
        ADD_FAILURE() << "rank " << comm.rank() << " ended in order";
      } catch (const DistError&) {
        over = comm.rank() == 0;  // the last to give up
        throw;
      }
    });
  });
  EXPECT_THAT(message, HasSubstr("abort by rank 2 with exit code 3"));
  EXPECT_EQ(spoken, 1);
}

TEST(RunAsRank, RankThatFinishedSpeaksWhenAnotherNeverEnds) {
  const CommunicatorOptions options{.timeout = std::chrono::milliseconds(100), .grace = std::chrono::milliseconds(100)};
  std::vector<std::string> spoken;
  std::atomic<bool> over = false;
  EXPECT_THROW(run_ranks(2, options,
                         [&](Communicator& comm) {
                           if (comm.rank() == 1) {
                             while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                             return;
                           }
                           const auto speak = [&](const std::string& line) { spoken.push_back(line); };
                           try {
                             run_as_rank(
                                 comm, [] { return 0; }, speak);
                           } catch (const DistError&) {
                             over = true;
                             throw;
                           }
                         }),
               DistError);
  ASSERT_EQ(spoken.size(), 1u);
  EXPECT_THAT(spoken[0], AllOf(HasSubstr("error: rank 0/2 [dist] every rank must end within 0.1 s"),
                               HasSubstr("rank 0 finished and rank 1 at work or lost")));
}

TEST(DescribeError, NamesOurBugsAndKeepsOneLine) {
  const RankFailure unknown = describe_error(std::out_of_range("two\nlines"), 1, 2);
  EXPECT_EQ(unknown.exit_code, 70);
  EXPECT_EQ(unknown.line,
            "error: rank 1/2 [program] no other error may get here; got two lines; this is a bug in Trireme, "
            "please report it.");
  try {
    at::ones({2}).view({3});
    ADD_FAILURE() << "libtorch took the shape";
  } catch (const std::exception& error) {
    const RankFailure failure = describe_error(error, 0, 1);
    EXPECT_EQ(failure.exit_code, 70);
    EXPECT_THAT(failure.line, AllOf(HasSubstr("error: [libtorch]"), HasSubstr("shape '[3]' is invalid")));
    EXPECT_EQ(failure.line.find("Exception raised from"), std::string::npos) << "a stack";
    EXPECT_EQ(failure.line.find('\n'), std::string::npos);
  }
  EXPECT_EQ(describe_error(std::bad_alloc(), 0, 1).exit_code, 70);
  EXPECT_EQ(describe_error(ConfigError("a", "b; got c; d."), 0, 1).line, "error: [a] b; got c; d.");
}

}  // namespace
}  // namespace trireme::test
