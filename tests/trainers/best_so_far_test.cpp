#include "trainers/best_so_far.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(BestSoFar, IsTheFirstOfEqualOnesAndCountsThoseAfterIt) {
  BestSoFar best;
  EXPECT_EQ(best.steps_done(), std::nullopt);
  EXPECT_TRUE(best.state().empty());
  best.add(10, 0.0);
  EXPECT_EQ(best.steps_done(), 10) << "the first is the best even at 0";
  best.add(20, 0.5);
  best.add(30, 0.5);
  best.add(40, 0.4);
  EXPECT_EQ(best.steps_done(), 20);
  EXPECT_EQ(best.value(), 0.5);
  EXPECT_EQ(best.worse_evaluations(), 2);
  best.add(50, 0.75);
  EXPECT_EQ(best.steps_done(), 50);
  EXPECT_EQ(best.worse_evaluations(), 0);
}

TEST(BestSoFar, GoesOnFromItsStateAsIfUnbroken) {
  BestSoFar unbroken, before, after;
  for (BestSoFar* each : {&unbroken, &before}) {
    each->add(5, 1.0 / 3);
    each->add(10, 0.1);
  }
  after.restore(before.state());
  for (BestSoFar* each : {&unbroken, &after}) each->add(15, 0.2);
  EXPECT_EQ(after.state(), unbroken.state());
  EXPECT_EQ(after.value(), 1.0 / 3);
  BestSoFar without;
  without.restore({{"guard.mean", 1.0}});
  EXPECT_EQ(without.steps_done(), std::nullopt) << "a checkpoint from before there was a validation";
}

}  // namespace
}  // namespace trireme
