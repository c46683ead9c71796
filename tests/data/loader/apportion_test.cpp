#include "data/loader/apportion.h"

#include <numeric>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trireme {
namespace {

/// One seat after the other, as the definition has it.
std::vector<int64_t> seat_by_seat(const std::vector<double>& weights, int64_t seats) {
  std::vector<int64_t> dealt(weights.size());
  for (int64_t seat = 0; seat < seats; ++seat) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < weights.size(); ++i) {
      const auto claim = [&](std::size_t j) { return weights[j] / static_cast<double>(2 * dealt[j] + 1); };
      if (claim(i) > claim(best)) best = i;
    }
    ++dealt[best];
  }
  return dealt;
}

std::vector<double> drawn_weights() {
  auto weights = *rc::gen::container<std::vector<double>>(
      rc::gen::map(rc::gen::inRange(0, 1000), [](int i) { return static_cast<double>(i) / 7; }));
  weights.push_back(1.0);
  return weights;
}

RC_GTEST_PROP(Apportion, EqualsDealingSeatBySeat, ()) {
  const auto weights = drawn_weights();
  const int64_t seats = *rc::gen::inRange(0, 3000);
  RC_ASSERT(apportion(weights, seats) == seat_by_seat(weights, seats));
}

RC_GTEST_PROP(Apportion, NobodyLosesASeatWhenThereIsOneMore, ()) {
  const auto weights = drawn_weights();
  const int64_t seats = *rc::gen::inRange<int64_t>(0, 1'000'000'000);
  const auto now = apportion(weights, seats), then = apportion(weights, seats + 1);
  int64_t more = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    RC_ASSERT(then[i] >= now[i]);
    more += then[i] - now[i];
  }
  RC_ASSERT(more == 1);
}

TEST(Apportion, TakesTurnsByWeight) {
  const std::vector<double> weights = {2, 1.5, 2, 3, 2};
  EXPECT_EQ(apportion(weights, 21), (std::vector<int64_t>{4, 3, 4, 6, 4}));
  EXPECT_EQ(apportion(weights, 2100), (std::vector<int64_t>{400, 300, 400, 600, 400}));
}

RC_GTEST_PROP(BalancedShare, DealsEveryItemOnceAndTheSameNumberToEach, ()) {
  const int64_t ranks = *rc::gen::inRange(1, 9), each = *rc::gen::inRange(1, 20);
  const auto sizes = *rc::gen::container<std::vector<int64_t>>(static_cast<std::size_t>(ranks * each),
                                                               rc::gen::inRange<int64_t>(1, 2000));
  std::set<int64_t> seen;
  int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const auto share = balanced_share(sizes, rank, ranks);
    RC_ASSERT(std::ssize(share) == each);
    RC_ASSERT(std::is_sorted(share.begin(), share.end()));
    int64_t sum = 0;
    for (int64_t item : share) sum += sizes[static_cast<std::size_t>(item)];
    seen.insert(share.begin(), share.end());
    least = std::min(least, sum), most = std::max(most, sum);
  }
  RC_ASSERT(std::ssize(seen) == ranks * each);
  RC_ASSERT(most - least <= *std::max_element(sizes.begin(), sizes.end()) * 2);
}

TEST(BalancedShare, IsBetterThanDealingInOrder) {
  const std::vector<int64_t> sizes = {100, 1, 100, 1, 100, 1, 100, 1};
  for (int64_t rank : {0, 1}) {
    int64_t sum = 0;
    for (int64_t item : balanced_share(sizes, rank, 2)) sum += sizes[static_cast<std::size_t>(item)];
    EXPECT_EQ(sum, 202);
  }
}

}  // namespace
}  // namespace trireme
