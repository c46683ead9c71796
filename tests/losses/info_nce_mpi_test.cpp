// The InfoNCE suite over MPI, at the rank count that TRIREME_EXPECTED_RANKS names.
#include <cstdlib>
#include <iostream>
#include <string_view>

#include <gtest/gtest.h>

#include "core/distributed/connect.h"
#include "core/distributed/mpi.h"
#include "tests/losses/info_nce_suite.h"

namespace trireme::test {
namespace {

/// Owned by main(): MPI starts once per process.
std::shared_ptr<MpiSession> session;

int64_t expected_ranks() {
  const char* text = std::getenv("TRIREME_EXPECTED_RANKS");
  if (text == nullptr) {
    std::cerr << "TRIREME_EXPECTED_RANKS must be set; got nothing; start this test by ctest.\n";
    std::exit(EXIT_FAILURE);
  }
  return std::atoll(text);
}

RankRunner on_mpi() {
  const int64_t size = expected_ranks();
  return {fmt::format("mpi{}", size), size, [](const auto& body) {
            const auto communicator = mpi_communicator(session, {.verify = true});
            body(*communicator);
          }};
}

INSTANTIATE_TEST_SUITE_P(Mpi, InfoNceTest, ::testing::Values(on_mpi()));

}  // namespace
}  // namespace trireme::test

int main(int argc, char** argv) {
  using namespace trireme::test;
  ::testing::InitGoogleTest(&argc, argv);
  const char* const rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (rank != nullptr && std::string_view(rank) != "0") GTEST_FLAG_SET(brief, true);
  session = trireme::start_mpi();
  const int result = RUN_ALL_TESTS();
  session.reset();
  return result;
}
