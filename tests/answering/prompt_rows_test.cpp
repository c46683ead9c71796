#include "answering/prompt_rows.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(CommonPrefix, EndsWhereTokensOrImagesDiffer) {
  const EncodedImage one{{}, 2, 0}, other{{}, 3, 2};
  const auto prompt = [](std::vector<int64_t> tokens, std::vector<const EncodedImage*> images,
                         std::vector<int64_t> begin) {
    return Prompt{std::move(tokens), std::move(images), std::move(begin)};
  };
  EXPECT_EQ(common_prefix({prompt({1, 2, 3}, {}, {}), prompt({1, 2, 4, 5}, {}, {})}), 2);
  EXPECT_EQ(common_prefix({prompt({1, 2, 3}, {}, {}), prompt({1, 2, 3}, {}, {})}), 2) << "one is left over";
  EXPECT_EQ(common_prefix({prompt({1, 2}, {}, {}), prompt({1, 2, 3}, {}, {})}), 1);
  EXPECT_EQ(common_prefix({prompt({1}, {}, {}), prompt({2}, {}, {})}), 0);
  constexpr int64_t kPad = 9;
  EXPECT_EQ(common_prefix({prompt({1, kPad, kPad, 5, 6}, {&one}, {1}), prompt({1, kPad, kPad, 5, 7}, {&one}, {1})}), 4);
  EXPECT_EQ(
      common_prefix({prompt({1, kPad, kPad, 5, 6}, {&one}, {1}), prompt({1, kPad, kPad, kPad, 5}, {&other}, {1})}), 1);
  EXPECT_EQ(common_prefix({prompt({1, kPad, kPad, 5, 6}, {&one}, {1}), prompt({1, 5, 6}, {}, {}),
                           prompt({1, kPad, kPad, 5, 6}, {&one}, {1})}),
            1);
}

}  // namespace
}  // namespace trireme
