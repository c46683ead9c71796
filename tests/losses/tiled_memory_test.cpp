// What the tiled loss holds, counted at the allocator: beside the caller's rows, a gradient of each of them, and tiles.
#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include "core/config/choice.h"
#include "core/distributed/self.h"
#include "tests/losses/contrast_cases.h"
#include "tests/losses/counted_memory.h"

namespace trireme::test {
namespace {

/// Owned by the process.
CountedMemory& memory() {
  static CountedMemory& counted = CountedMemory::install();
  return counted;
}

/// Peak bytes of one forward and backward: without the rows themselves, with their gradients.
int64_t peak_bytes_of_step(int64_t pairs, int64_t width, const InfoNceConfig& config) {
  at::manual_seed(1);
  const ContrastiveRows rows = {at::randn({pairs, width}).requires_grad_(), at::randn({pairs, width}).requires_grad_()};
  SelfCommunicator self;
  memory().restart_peak();
  const int64_t before = memory().live_bytes();
  info_nce(rows, {}, config, self).loss.backward();
  EXPECT_TRUE(rows.query.grad().defined() && rows.candidate.grad().defined());
  const int64_t peak = memory().peak_bytes() - before;
  ::testing::Test::RecordProperty(fmt::format("peak_bytes_{}", choice_name(config.compute)), fmt::format("{}", peak));
  return peak;
}

TEST(TiledInfoNce, HoldsNoSquareOfTheBatch) {
  constexpr int64_t kPairs = 4096, kWidth = 32, kBytes = 4;
  const InfoNceConfig tiled{
      .direction = ContrastDirection::kSymmetric, .compute = ContrastCompute::kTiled, .tile_rows = 256};
  const int64_t gradients = 2 * kPairs * kWidth * kBytes, tile = 256 * 256 * kBytes;
  EXPECT_LT(peak_bytes_of_step(kPairs, kWidth, tiled), gradients + 12 * tile);
  const InfoNceConfig gathered{.direction = ContrastDirection::kSymmetric};
  EXPECT_GT(peak_bytes_of_step(kPairs, kWidth, gathered), kPairs * kPairs * kBytes) << "the count sees squares";
}

/// The size that docs/benchmarks.md quotes. About a minute on two cores.
TEST(TiledInfoNceLarge, TakesLessThan200MegabytesFor65536PairsOf256Dimensions) {
  const InfoNceConfig tiled{.direction = ContrastDirection::kSymmetric, .compute = ContrastCompute::kTiled};
  EXPECT_LT(peak_bytes_of_step(65'536, 256, tiled), 200'000'000);
}

}  // namespace
}  // namespace trireme::test
