#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "tests/core/distributed/reducer_suite.h"

namespace trireme::test {
namespace {

Ranks threads(int64_t ranks) {
  return {fmt::format("threads{}", ranks), ranks, true,
          [ranks](const CommunicatorOptions& options, const auto& body) { run_ranks(ranks, options, body); }};
}

INSTANTIATE_TEST_SUITE_P(Thread, ReducerTest, ::testing::Values(threads(1), threads(2), threads(4)),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace trireme::test
