// The communicator suite over MPI, at the rank count that TRIREME_EXPECTED_RANKS names: a run that mpirun did not
// start, or that sees a world of one, fails.
#include "core/distributed/mpi.h"

#include <cstdlib>
#include <iostream>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "core/distributed/connect.h"
#include "core/distributed/self.h"
#include "tests/core/distributed/communicator_suite.h"
#include "tests/core/distributed/reducer_suite.h"

namespace trireme::test {
namespace {

int64_t number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) {
    std::cerr << variable << " must be set; got nothing; start this test by ctest.\n";
    std::exit(EXIT_FAILURE);
  }
  return std::atoll(text);
}

/// Owned by main(): MPI starts once per process.
std::shared_ptr<MpiSession> session;

Ranks mpi_ranks() {
  const int64_t size = number_from("TRIREME_EXPECTED_RANKS");
  return {fmt::format("mpi{}", size), size, false, [size](const CommunicatorOptions& options, const auto& body) {
            const auto communicator =
                size == 1 ? connect({.launcher = Launcher::kMpirun}, options) : mpi_communicator(session, options);
            body(*communicator);
          }};
}

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorTest, ::testing::Values(mpi_ranks()));
INSTANTIATE_TEST_SUITE_P(Mpi, ReducerTest, ::testing::Values(mpi_ranks()));

TEST(Connect, DoesNotStartMpiForOneRank) {
  const auto is_initialized = reinterpret_cast<int (*)(int*)>(dlsym(RTLD_DEFAULT, "MPI_Initialized"));
  ASSERT_NE(is_initialized, nullptr);
  const auto communicator = connect(LaunchInfo{}, {});
  EXPECT_NE(dynamic_cast<SelfCommunicator*>(communicator.get()), nullptr);
  int initialized = -1;
  is_initialized(&initialized);
  EXPECT_EQ(initialized, number_from("TRIREME_EXPECTED_RANKS") == 1 ? 0 : 1);
}

}  // namespace
}  // namespace trireme::test

int main(int argc, char** argv) {
  using namespace trireme::test;
  ::testing::InitGoogleTest(&argc, argv);
  if (number_from("TRIREME_EXPECTED_RANKS") > 1) session = trireme::start_mpi();
  if (number_from("OMPI_COMM_WORLD_RANK") != 0) GTEST_FLAG_SET(brief, true);
  const int result = RUN_ALL_TESTS();
  session.reset();
  return result;
}
