#include "trainers/guard.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rng.h"

namespace trireme {
namespace {

using ::testing::HasSubstr;

StepHealth healthy(int64_t step, double loss) { return {step, loss, 1.0, 0.1}; }

/// Losses around 2 with a deviation of 0.1.
double noisy_loss(RandomStream& stream) { return 2 + 0.1 * stream.normal(); }

TEST(Guard, EndsAtANonFiniteLossOrGradient) {
  Guard guard({});
  EXPECT_EQ(guard.examine(healthy(0, 3)), std::nullopt);
  EXPECT_EQ(guard.examine({1, std::numeric_limits<double>::quiet_NaN(), 1, 0}),
            (Divergence{"the loss must be finite", "nan"}));
  EXPECT_EQ(guard.examine({1, 2, std::numeric_limits<double>::infinity(), 0}),
            (Divergence{"the gradient must be finite", "norm inf at loss 2.0000"}));
}

TEST(Guard, EndsAtASpikeAndNotAtTheNoiseBeforeIt) {
  Guard guard({});
  RandomStream stream = random_stream(1, "test.guard");
  for (int64_t step = 0; step < 2000; ++step) ASSERT_EQ(guard.examine(healthy(step, noisy_loss(stream))), std::nullopt);
  EXPECT_THAT(guard.examine(healthy(2000, 4)).value().got, HasSubstr("4.0000"));
}

TEST(Guard, JudgesNoSpikeBeforeItHasSeenEnough) {
  Guard guard({.spike_memory_steps = 50});
  for (int64_t step = 0; step < 49; ++step) ASSERT_EQ(guard.examine(healthy(step, step == 20 ? 9 : 2)), std::nullopt);
}

TEST(Guard, FallingLossIsNeverASpike) {
  Guard guard({});
  for (int64_t step = 0; step < 500; ++step) {
    ASSERT_EQ(guard.examine(healthy(step, 5.0 / (1 + static_cast<double>(step)))), std::nullopt);
  }
}

TEST(Guard, EndsWhenEmbeddingsStayCollapsed) {
  Guard guard({.collapse_steps = 3});
  const StepHealth collapsed{0, 4.1, 1, 0.999};
  EXPECT_EQ(guard.examine(collapsed), std::nullopt);
  EXPECT_EQ(guard.examine(collapsed), std::nullopt);
  EXPECT_EQ(guard.examine(healthy(2, 4.1)), std::nullopt) << "one good step starts the count anew";
  EXPECT_EQ(guard.examine(collapsed), std::nullopt);
  EXPECT_EQ(guard.examine(collapsed), std::nullopt);
  EXPECT_THAT(guard.examine(collapsed).value().got, HasSubstr("mean cosine of 0.9990"));
}

TEST(Guard, GoesOnFromItsState) {
  RandomStream stream = random_stream(2, "test.guard");
  Guard unbroken({});
  Guard first({});
  for (int64_t step = 0; step < 300; ++step) {
    const double loss = noisy_loss(stream);
    unbroken.examine(healthy(step, loss));
    first.examine(healthy(step, loss));
  }
  Guard second({});
  second.restore(first.state());
  EXPECT_EQ(second.state(), unbroken.state());
  EXPECT_EQ(second.examine(healthy(300, 4)), unbroken.examine(healthy(300, 4)));
}

}  // namespace
}  // namespace trireme
