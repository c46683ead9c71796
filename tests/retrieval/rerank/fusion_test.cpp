#include "retrieval/rerank/fusion.h"

#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <ATen/ops/tensor.h>

#include "retrieval/rerank/fit_alpha.h"
#include "retrieval/rerank/rank_scores.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int64_t> row_of(const torch::Tensor& values, int64_t row) {
  const torch::Tensor of = values[row].contiguous();
  return {of.const_data_ptr<int64_t>(), of.const_data_ptr<int64_t>() + of.numel()};
}
std::vector<float> scores_of(const torch::Tensor& values, int64_t row) {
  const torch::Tensor of = values[row].contiguous();
  return {of.const_data_ptr<float>(), of.const_data_ptr<float>() + of.numel()};
}

torch::Tensor rows(const std::vector<std::vector<float>>& values) {
  std::vector<float> flat;
  for (const auto& row : values) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat).view({std::ssize(values), -1});
}

/// Ids "d0", "d1", .. by place.
const std::vector<std::string> kIds = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"};
std::string_view id_at(int64_t, int64_t place) { return kIds[static_cast<std::size_t>(place)]; }

FusedLists fuse_ids(const torch::Tensor& retrieval, const torch::Tensor& rank, const Fusion& fusion) {
  return fuse(retrieval, rank, id_at, fusion);
}

// 0.5 * 0.75 + 0.5 * 0.25 = 0.5; 0.5 * 0.5 + 0.5 * 1 = 0.75; 0.5 * 0.25 + 0.5 * 0.75 = 0.5: a tie, d0 before d2.
TEST(Fusion, AlphaWeighsBothScores) {
  const FusedLists lists = fuse_ids(rows({{0.75f, 0.5f, 0.25f}}), rows({{0.25f, 1, 0.75f}}), {FusionForm::kAlpha, 0.5});
  EXPECT_THAT(row_of(lists.order, 0), ElementsAre(1, 0, 2));
  EXPECT_THAT(scores_of(lists.scores, 0), ElementsAre(0.75f, 0.5f, 0.5f));
}

// 0.8 + 0.5 * 0.1 = 0.85; 0.6 + 0.5 * 0.9 = 1.05; 0.4 + 0.5 * 0.5 = 0.65.
TEST(Fusion, WeightAddsTheRerankersScore) {
  const FusedLists lists = fuse_ids(rows({{0.8f, 0.6f, 0.4f}}), rows({{0.1f, 0.9f, 0.5f}}), {FusionForm::kWeight, 0.5});
  EXPECT_THAT(row_of(lists.order, 0), ElementsAre(1, 0, 2));
  EXPECT_THAT(scores_of(lists.scores, 0), ElementsAre(1.05f, 0.85f, 0.65f));
}

// The head becomes 0.75, 0.45; the third was 0.2 below the second, the fourth 0.5.
TEST(Fusion, DocumentsBehindTheDepthStayBelowAtTheirDistances) {
  const FusedLists lists = fuse_ids(rows({{0.8f, 0.6f, 0.4f, 0.1f}}), rows({{0.1f, 0.9f}}), {FusionForm::kAlpha, 0.5});
  EXPECT_THAT(row_of(lists.order, 0), ElementsAre(1, 0, 2, 3));
  const std::vector<float> scores = scores_of(lists.scores, 0);
  EXPECT_FLOAT_EQ(scores[1], 0.45f);
  EXPECT_FLOAT_EQ(scores[2], 0.25f);
  EXPECT_FLOAT_EQ(scores[3], -0.05f);
}

TEST(Fusion, NothingIsFusedBehindTheEndOfAShorterList) {
  constexpr float kEnd = -std::numeric_limits<float>::infinity();
  const FusedLists lists = fuse_ids(rows({{0.8f, 0.6f, kEnd, kEnd}, {0.8f, 0.6f, 0.4f, kEnd}}),
                                    rows({{0.1f, 0.9f, 5, NAN}, {0.1f, 0.9f, 0.5f, NAN}}), {FusionForm::kWeight, 0.5});
  EXPECT_THAT(row_of(lists.order, 0), ElementsAre(1, 0, 2, 3));
  EXPECT_THAT(scores_of(lists.scores, 0), ElementsAre(1.05f, 0.85f, kEnd, kEnd));
  EXPECT_THAT(scores_of(lists.scores, 1), ElementsAre(1.05f, 0.85f, 0.65f, kEnd));
}

TEST(Fusion, EqualScoresGoToTheSmallerIdByBytes) {
  const std::vector<std::string> ids = {"b", "a", "ä", "B"};
  const IdAt id = [&](int64_t, int64_t place) -> std::string_view { return ids[static_cast<std::size_t>(place)]; };
  const FusedLists lists = fuse(rows({{1, 1, 1, 1}}), rows({{0, 0, 0, 0}}), id, {});
  EXPECT_THAT(row_of(lists.order, 0), ElementsAre(3, 1, 0, 2));
}

TEST(Fusion, ListsDoNotTouchEachOther) {
  const torch::Tensor retrieval = rows({{3, 2, 1}, {6, 5, 4}}), rank = rows({{0, 9, 0}, {0, 0, 9}});
  const FusedLists both = fuse_ids(retrieval, rank, {});
  for (int64_t q = 0; q < 2; ++q) {
    const FusedLists one = fuse_ids(retrieval.narrow(0, q, 1), rank.narrow(0, q, 1), {});
    EXPECT_EQ(row_of(both.order, q), row_of(one.order, 0));
    EXPECT_EQ(scores_of(both.scores, q), scores_of(one.scores, 0));
  }
}

/// A list as a search gives it, and scores of its head.
struct RandomList {
  torch::Tensor retrieval, rank;
};
RandomList random_list() {
  const auto length = static_cast<std::size_t>(*rc::gen::inRange<int64_t>(1, 11));
  const auto depth = static_cast<std::size_t>(*rc::gen::inRange<int64_t>(0, static_cast<int64_t>(length) + 1));
  // Few distinct values, so that ties happen.
  const auto score = rc::gen::map(rc::gen::inRange(-8, 9), [](int n) { return static_cast<float>(n) / 8; });
  auto retrieval = *rc::gen::container<std::vector<float>>(length, score);
  std::sort(retrieval.rbegin(), retrieval.rend());
  const auto rank = *rc::gen::container<std::vector<float>>(depth, score);
  return {at::tensor(retrieval).view({1, -1}), at::tensor(rank).view({1, static_cast<int64_t>(depth)})};
}

std::vector<int64_t> counted(int64_t count) {
  std::vector<int64_t> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), int64_t{0});
  return values;
}

TEST(Fusion, TheRetrieverAloneKeepsItsList) {
  EXPECT_TRUE(rc::check([] {
    const RandomList list = random_list();
    for (const Fusion alone : {Fusion{FusionForm::kAlpha, 1}, Fusion{FusionForm::kWeight, 0}}) {
      const FusedLists fused = fuse_ids(list.retrieval, list.rank, alone);
      RC_ASSERT(row_of(fused.order, 0) == counted(list.retrieval.size(1)));
      RC_ASSERT(scores_of(fused.scores, 0) == scores_of(list.retrieval, 0));
    }
  }));
}

TEST(Fusion, IsAPermutationOfTheHeadWithFallingScores) {
  EXPECT_TRUE(rc::check([] {
    const RandomList list = random_list();
    const Fusion fusion{FusionForm::kAlpha, static_cast<double>(*rc::gen::inRange(0, 11)) / 10};
    const FusedLists fused = fuse_ids(list.retrieval, list.rank, fusion);
    std::vector<int64_t> order = row_of(fused.order, 0);
    const std::vector<float> scores = scores_of(fused.scores, 0);
    RC_ASSERT(std::is_sorted(scores.rbegin(), scores.rend()));
    const auto head = order.begin() + list.rank.size(1);
    std::sort(order.begin(), head);
    RC_ASSERT(order == counted(list.retrieval.size(1)));
  }));
}

TEST(Fusion, BothFormsGiveOneOrder) {
  EXPECT_TRUE(rc::check([] {
    const RandomList list = random_list();
    const double alpha = static_cast<double>(*rc::gen::elementOf(std::vector<int>{1, 2, 4})) / 4;  // exact in binary
    const FusedLists by_alpha = fuse_ids(list.retrieval, list.rank, {FusionForm::kAlpha, alpha});
    const FusedLists by_weight = fuse_ids(list.retrieval, list.rank, {FusionForm::kWeight, (1 - alpha) / alpha});
    RC_ASSERT(row_of(by_alpha.order, 0) == row_of(by_weight.order, 0));
  }));
}

TEST(Fusion, RefusesScoresThatAreNone) {
  const torch::Tensor retrieval = rows({{2, 1}});
  EXPECT_THAT(message_of<DataError>([&] {
                fuse_ids(retrieval, rows({{0, NAN}}), {});
              }),
              ::testing::AllOf(HasSubstr("nan"), HasSubstr("\"d1\"")));
  EXPECT_THAT(message_of<ShapeError>([&] { fuse_ids(retrieval, rows({{1, 2, 3}}), {}); }), HasSubstr("[1, 3]"));
  EXPECT_THAT(message_of<ConfigError>([&] {
                fuse_ids(retrieval, rows({{1, 2}}), {FusionForm::kAlpha, 1.5});
              }),
              HasSubstr("1.5"));
}

TEST(Fusion, IsReadFromText) {
  EXPECT_EQ(parse_fusion("0.5"), (Fusion{FusionForm::kAlpha, 0.5}));
  EXPECT_EQ(parse_fusion("alpha=1"), (Fusion{FusionForm::kAlpha, 1}));
  EXPECT_EQ(parse_fusion("w=2.5"), (Fusion{FusionForm::kWeight, 2.5}));
  for (const Fusion fusion : {Fusion{FusionForm::kAlpha, 0.3}, Fusion{FusionForm::kWeight, 0.1}})
    EXPECT_EQ(parse_fusion(fusion_text(fusion)), fusion);
  for (const char* wrong : {"", "half", "0.5x", "alpha=", "beta=1", "w=nan", "w=inf", "-0.1", "alpha=1.01", "w=-1"})
    message_of<ConfigError>([&] { parse_fusion(wrong); });
  EXPECT_THAT(message_of<ConfigError>([&] { parse_fusion("half"); }), HasSubstr("\"half\""));
}

TEST(RankScores, BothIsTheMean) {
  const RankScores scores{rows({{0.2f, 0.6f}}), rows({{0.4f, 0.0f}})};
  EXPECT_THAT(scores_of(rank_score(scores, RerankModes::kBoth), 0),
              ElementsAre(::testing::FloatEq(0.3f), ::testing::FloatEq(0.3f)));
  EXPECT_THAT(scores_of(rank_score(scores, RerankModes::kListwise), 0), ElementsAre(0.4f, 0.0f));
  EXPECT_FALSE((RankScores{{}, scores.listwise}.has(RerankModes::kBoth)));
}

TEST(FitAlpha, TakesTheBestAndAmongEqualsTheNearestToTheRetriever) {
  const AlphaFit peak = fit_alpha(10, [](double alpha) { return -std::abs(alpha - 0.3); });
  EXPECT_DOUBLE_EQ(peak.alpha, 0.3);
  EXPECT_DOUBLE_EQ(peak.retriever_value, -0.7);
  EXPECT_EQ(fit_alpha(10, [](double) { return 0.5; }), (AlphaFit{1, 0.5, 0.5}));
  EXPECT_DOUBLE_EQ(fit_alpha(10, [](double alpha) { return alpha < 0.75 ? 1 : 0; }).alpha, 0.7);
  EXPECT_DOUBLE_EQ(fit_alpha(4, [](double alpha) { return -alpha; }).alpha, 0);
}

}  // namespace
}  // namespace trireme
