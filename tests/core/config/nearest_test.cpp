#include "core/config/nearest.h"

#include <vector>

#include <gtest/gtest.h>

namespace trireme::test {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("records", "recrods"), 1);
  EXPECT_EQ(edit_distance("peak_lr", "peek_lr"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("ca", "abc"), 3);
}

TEST(EditDistance, DoesNotCountCaseNorTheDashOfOptions) { EXPECT_EQ(edit_distance("Rope-Mode", "rope_mode"), 0); }

TEST(Nearest, IsTheNearestTheFirstOfEqualsOrNone) {
  const std::vector<std::string> names = {"warmup_steps", "total_steps", "peak_lr", "seed", "sees"};
  EXPECT_EQ(nearest("warm_up_steps", names), "warmup_steps");
  EXPECT_EQ(nearest("seee", names), "seed");
  EXPECT_EQ(nearest("momentum", names), std::nullopt);
  EXPECT_EQ(nearest("x", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
  EXPECT_EQ(nearest(std::string(65, 'a'), {{std::string(65, 'a')}}), std::nullopt);
}

}  // namespace
}  // namespace trireme::test
