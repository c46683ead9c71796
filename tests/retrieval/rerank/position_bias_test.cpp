#include "retrieval/rerank/position_bias.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"

namespace trireme {
namespace {

using ::testing::DoubleEq;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Orders = std::span<const std::vector<int64_t>>;

/// Picks the same candidate wherever it stands.
std::vector<int64_t> pick_candidate(int64_t query, Orders orders) {
  std::vector<int64_t> places;
  for (const auto& order : orders) {
    const int64_t wanted = query % std::ssize(order);
    places.push_back(std::find(order.begin(), order.end(), wanted) - order.begin());
  }
  return places;
}

std::vector<int64_t> pick_first(int64_t, Orders orders) { return std::vector<int64_t>(orders.size(), 0); }

TEST(PositionBias, AsksAllOrdersOfFourAndTheShiftsOfMore) {
  for (const auto& [candidates, orders] :
       std::vector<std::pair<int64_t, std::size_t>>{{1, 1}, {3, 6}, {4, 24}, {5, 5}}) {
    const auto asked = orders_to_ask(candidates);
    EXPECT_EQ(asked.size(), orders);
    EXPECT_TRUE(std::is_sorted(asked[0].begin(), asked[0].end())) << "the first is the retriever's";
    EXPECT_EQ(std::set(asked.begin(), asked.end()).size(), orders);
    for (int64_t place = 0; place < candidates; ++place) {
      std::map<int64_t, std::size_t> stood;
      for (const auto& order : asked) ++stood[order[static_cast<std::size_t>(place)]];
      for (const auto& [candidate, times] : stood)
        EXPECT_EQ(times, orders / static_cast<std::size_t>(candidates)) << candidate << " at " << place;
    }
  }
}

TEST(PositionBias, ARerankerThatSeesCandidatesHasNone) {
  SelfCommunicator alone;
  for (const int64_t candidates : {3, 5}) {
    const PositionBias bias = measure_position_bias(7, candidates, pick_candidate, alone);
    EXPECT_THAT(bias.share, Each(DoubleEq(1.0 / static_cast<double>(candidates))));
    EXPECT_EQ(bias.consistency, 1);
  }
}

TEST(PositionBias, ARerankerThatSeesPlacesIsFound) {
  SelfCommunicator alone;
  const PositionBias bias = measure_position_bias(7, 5, pick_first, alone);
  EXPECT_THAT(bias.share, ElementsAre(1, 0, 0, 0, 0));
  EXPECT_DOUBLE_EQ(bias.consistency, 0.2);
  EXPECT_THAT(position_bias_text(bias),
              ::testing::AllOf(HasSubstr("100.0 0.0 0.0 0.0 0.0 %"), HasSubstr("consistency 0.200")));
}

TEST(PositionBias, AnyNumberOfRanksGivesTheSame) {
  const PickPlaces mixed = [](int64_t query, Orders orders) {
    return query % 3 == 0 ? pick_first(query, orders) : pick_candidate(query, orders);
  };
  SelfCommunicator alone;
  const PositionBias one = measure_position_bias(10, 4, mixed, alone);
  EXPECT_GT(one.share[0], 0.25);
  for (const int ranks : {2, 3})
    run_ranks(ranks,
              [&](Communicator& communicator) { EXPECT_EQ(measure_position_bias(10, 4, mixed, communicator), one); });
}

}  // namespace
}  // namespace trireme
