#include "data/rerank/draw_negatives.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::HasSubstr;

RandomStream stream(int64_t row) { return random_stream(7, "test.negatives", 0, row); }

/// Ten documents, two of them positives.
const std::vector<bool> kTen = {false, true, false, false, false, true, false, false, false, false};

TEST(DrawNegatives, IsUniformOverNegativesNumbersAndPlaces) {
  constexpr int64_t kDraws = 8000;
  for (const auto& [list_negatives, fewest] :
       std::map<ListNegatives, std::size_t>{{ListNegatives::kReleased, 1}, {ListNegatives::kPaper, 2}}) {
    RerankSamplesConfig config;
    config.list_negatives = list_negatives;
    std::map<std::size_t, int64_t> pairs, listed, lengths;
    std::map<std::pair<std::size_t, int64_t>, int64_t> places;
    for (int64_t i = 0; i < kDraws; ++i) {
      const DrawnNegatives drawn = draw_negatives(kTen, config, stream(i), "q");
      ++pairs[drawn.pointwise];
      ++lengths[drawn.listwise.size()];
      ++places[{drawn.listwise.size(), drawn.target_number}];
      for (const std::size_t number : drawn.listwise) ++listed[number];
      EXPECT_EQ(std::set<std::size_t>(drawn.listwise.begin(), drawn.listwise.end()).size(), drawn.listwise.size());
    }
    ASSERT_EQ(pairs.size(), 8u);
    ASSERT_EQ(listed.size(), 8u);
    for (const auto& [number, count] : pairs) {
      EXPECT_FALSE(kTen[number]);
      EXPECT_NEAR(static_cast<double>(count) / kDraws, 1.0 / 8, 0.02);
    }
    for (const auto& [number, count] : listed) EXPECT_FALSE(kTen[number]);
    ASSERT_EQ(lengths.size(), 4u);
    EXPECT_EQ(lengths.begin()->first, fewest);
    for (const auto& [length, count] : lengths) {
      EXPECT_NEAR(static_cast<double>(count) / kDraws, 0.25, 0.02);
      for (int64_t place = 1; place <= static_cast<int64_t>(length) + 1; ++place) {
        EXPECT_NEAR(static_cast<double>(places[{length, place}]) / static_cast<double>(count),
                    1.0 / static_cast<double>(length + 1), 0.04);
      }
    }
  }
}

TEST(DrawNegatives, PairAndListAreDrawnApart) {
  int64_t both = 0;
  constexpr int64_t kDraws = 4000;
  for (int64_t i = 0; i < kDraws; ++i) {
    const DrawnNegatives drawn = draw_negatives(kTen, {}, stream(i), "q");
    both += std::ranges::count(drawn.listwise, drawn.pointwise);
  }
  EXPECT_NEAR(static_cast<double>(both) / kDraws, 2.5 / 8, 0.03);
}

TEST(DrawNegatives, ReleasedDrawsFromAllThatWasFoundWhereNegativesRunShort) {
  const std::vector<bool> one_negative = {true, false, true, true};
  bool positive_in_list = false;
  for (int64_t i = 0; i < 200; ++i) {
    const DrawnNegatives drawn = draw_negatives(one_negative, {}, stream(i), "q");
    EXPECT_EQ(drawn.pointwise, 1u);
    for (const std::size_t number : drawn.listwise) positive_in_list |= one_negative[number];
  }
  EXPECT_TRUE(positive_in_list);
  EXPECT_LT(draw_negatives({true, true}, {}, stream(0), "q").pointwise, 2u);
}

TEST(DrawNegatives, StrictShortensListsAndNeverTakesPositives) {
  RerankSamplesConfig config;
  config.short_of_negatives = ShortOfNegatives::kStrict;
  const std::vector<bool> two_negatives = {true, false, true, false};
  for (int64_t i = 0; i < 200; ++i) {
    const DrawnNegatives drawn = draw_negatives(two_negatives, config, stream(i), "q");
    EXPECT_LE(drawn.listwise.size(), 2u);
    EXPECT_GE(drawn.listwise.size(), 1u);
    for (const std::size_t number : drawn.listwise) EXPECT_FALSE(two_negatives[number]);
  }
  EXPECT_THAT(message_of<DataError>([&] { draw_negatives({true}, config, stream(0), "q.jsonl:3"); }),
              HasSubstr("[q.jsonl:3] a query must have a negative"));
  EXPECT_THAT(message_of<DataError>([&] { draw_negatives({}, {}, stream(0), "q.jsonl:3"); }),
              HasSubstr("documents that were found"));
}

}  // namespace
}  // namespace trireme
