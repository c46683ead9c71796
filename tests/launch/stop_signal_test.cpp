#include "launch/stop_signal.h"

#include <csignal>

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(StopSignal, RemembersEitherSignal) {
  for (const int signal : {SIGTERM, SIGUSR1}) {
    const StopSignal stop;
    EXPECT_FALSE(stop.requested());
    std::raise(signal);
    EXPECT_TRUE(stop.requested());
  }
}

TEST(StopSignal, EndsTheProcessAtTheSecondOne) {
  const auto raise_twice = [] {
    const StopSignal stop;
    std::raise(SIGTERM);
    std::raise(SIGTERM);
  };
  EXPECT_EXIT(raise_twice(), ::testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignal, GivesTheSignalsBackAtItsEnd) {
  { const StopSignal stop; }
  EXPECT_EXIT(std::raise(SIGUSR1), ::testing::KilledBySignal(SIGUSR1), "");
}

}  // namespace
}  // namespace trireme
