#include <thread>

#include <gmock/gmock.h>

#include <ATen/ops/ones.h>

#include "core/distributed/run_as_rank.h"
#include "core/tensor.h"
#include "tests/core/distributed/communicator_suite.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// What one rank of run_as_rank said and returned.
struct Ended {
  int exit_code;
  std::vector<std::string> spoken;
};

Ended end_rank(Communicator& comm, const std::function<int()>& work) {
  Ended ended{};
  ended.exit_code = run_as_rank(comm, work, [&](const std::string& line) { ended.spoken.push_back(line); });
  return ended;
}

[[noreturn]] void fail_by_data() { throw DataError("test", "records must be readable; got none; bring some."); }

TEST_P(CommunicatorTest, FailureNoticeEndsTheWaitsOfTheOthers) {
  if (GetParam().size == 1) return;  // nobody to tell
  run([](Communicator& comm) {
    const int64_t failing = comm.size() - 1;
    const RankEnding failure{RankEnding::Kind::kFailed, 3};
    RankEnding mine{RankEnding::Kind::kPeerFailed, 3};
    const torch::Tensor greeting = at::ones({1});
    if (comm.rank() == failing) {
      for (int64_t other = 0; other < failing; ++other) comm.recv(greeting, other).wait();
      comm.announce_failure(failure);
      mine = failure;
    } else {
      comm.check_peers();
      comm.send(greeting, failing).wait();
      const torch::Tensor tensor = at::ones({1'000'000});
      try {
        comm.all_reduce(tensor, ReduceOp::kSum).wait();
        ADD_FAILURE() << "the collective ended without rank " << failing;
      } catch (const PeerFailed& error) {
        EXPECT_EQ(error.rank, failing);
        EXPECT_EQ(error.rank_exit_code, 3);
        EXPECT_THAT(error.what(), HasSubstr(fmt::format("rank {} failed with exit code 3", failing)));
      }
      EXPECT_THROW(comm.check_peers(), PeerFailed);
      EXPECT_THROW(comm.barrier(), PeerFailed) << "later waits end too";
    }
    const auto endings = comm.gather_endings(mine, comm.options().grace);
    EXPECT_EQ(speaking_rank(endings), failing);
    for (int64_t rank = 0; rank < comm.size(); ++rank) ASSERT_TRUE(endings[rank].has_value()) << rank;
  });
}

TEST_P(CommunicatorTest, RanksThatFinishReturnTheirOwnCodes) {
  run([](Communicator& comm) {
    const Ended ended = end_rank(comm, [] { return 75; });
    EXPECT_EQ(ended.exit_code, 75);
    EXPECT_THAT(ended.spoken, IsEmpty());
  });
}

TEST_P(CommunicatorTest, RankThatFailedSpeaksOnceAndAllReturnItsCode) {
  for (int64_t failing = 0; failing < GetParam().size; ++failing) {
    run([&](Communicator& comm) {
      const Ended ended = end_rank(comm, [&] {
        if (comm.rank() == failing) fail_by_data();
        comm.barrier();
        return 0;
      });
      EXPECT_EQ(ended.exit_code, DataError::kExitCode);
      const std::string who = comm.size() == 1 ? "" : fmt::format("rank {}/{} ", failing, comm.size());
      const std::string line = "error: " + who + "[test] records must be readable; got none; bring some.";
      EXPECT_EQ(ended.spoken, comm.rank() == failing ? std::vector{line} : std::vector<std::string>{});
    });
  }
}

TEST_P(CommunicatorTest, RankThatFinishedHearsOfAFailureToo) {
  run([](Communicator& comm) {
    const int64_t failing = comm.size() - 1;
    const Ended ended = end_rank(comm, [&] {
      if (comm.rank() != failing) return 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the others have finished
      fail_by_data();
    });
    EXPECT_EQ(ended.exit_code, DataError::kExitCode);
    EXPECT_EQ(ended.spoken.size(), comm.rank() == failing ? 1u : 0u);
  });
}

TEST_P(CommunicatorTest, WhenAllFailOnlyTheLowestRankSpeaks) {
  run([](Communicator& comm) {
    const Ended ended = end_rank(comm, []() -> int { fail_by_data(); });
    EXPECT_EQ(ended.exit_code, DataError::kExitCode);
    EXPECT_EQ(ended.spoken.size(), comm.rank() == 0 ? 1u : 0u);
  });
}

TEST_P(CommunicatorTest, OwnFailureSpeaksBeforeAFailedCollectiveOfALowerRank) {
  if (GetParam().size == 1) return;  // one rank has one failure
  run([](Communicator& comm) {
    const int64_t last = comm.size() - 1;
    const Ended ended = end_rank(comm, [&]() -> int {
      if (comm.rank() == last) fail_by_data();
      throw DistError("test", "every rank must come; got none; look for it.");
    });
    EXPECT_EQ(ended.exit_code, DataError::kExitCode);
    EXPECT_EQ(ended.spoken.size(), comm.rank() == last ? 1u : 0u);
  });
}

TEST_P(CommunicatorTest, FailureWithCollectivesInFlightEndsInOrder) {
  run([](Communicator& comm) {
    const int64_t failing = comm.size() / 2;
    const Ended ended = end_rank(comm, [&] {
      const torch::Tensor tensor = at::ones({500'000});
      Work work = comm.all_reduce(tensor, ReduceOp::kSum);
      if (comm.rank() == failing) fail_by_data();
      work.wait();
      comm.barrier();
      return 0;
    });
    EXPECT_EQ(ended.exit_code, DataError::kExitCode);
    EXPECT_EQ(ended.spoken.size(), comm.rank() == failing ? 1u : 0u);
  });
}

TEST_P(CommunicatorTest, DifferingCallsEndInOneDistError) {
  if (GetParam().size == 1) return;  // nobody to differ from
  run({.verify = true}, [](Communicator& comm) {
    const Ended ended = end_rank(comm, [&] {
      comm.all_reduce(at::ones({comm.rank() == 0 ? 2 : 3}), ReduceOp::kSum).wait();
      return 0;
    });
    EXPECT_EQ(ended.exit_code, DistError::kExitCode);
    ASSERT_EQ(ended.spoken.size(), comm.rank() == 0 ? 1u : 0u);
    if (comm.rank() != 0) return;
    EXPECT_THAT(ended.spoken[0], HasSubstr("rank 0 in [1] all_reduce sum 2 float32 and rank 1 in"));
  });
}

}  // namespace
}  // namespace trireme::test
