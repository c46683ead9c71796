#include "retrieval/mining/balance.h"

#include <cmath>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace {

using ::testing::ElementsAre;

MinedQuery query_of(const std::string& id, const std::vector<std::string>& negatives, const std::string& positive) {
  MinedQuery query{.id = id, .documents = {}, .positives = {{positive, 0.5F}}};
  for (const std::string& negative : negatives) query.documents.push_back({negative, 0.9F, false});
  query.documents.push_back({positive, 0.5F, true});
  return query;
}

/// Each query finds a hub, which is nobody's positive, and six documents, low numbers far more often than high ones.
std::vector<MinedQuery> skewed_queries(int64_t count) {
  std::vector<MinedQuery> queries;
  RandomStream stream = random_stream(1, "test.lists");
  for (int64_t q = 0; q < count; ++q) {
    std::vector<std::string> negatives{"hub"};
    while (std::ssize(negatives) < 7) {
      const double u = stream.uniform();
      const std::string id = fmt::format("d{}", static_cast<int64_t>(u * u * static_cast<double>(count)));
      if (id != fmt::format("d{}", q) && std::ranges::find(negatives, id) == negatives.end()) negatives.push_back(id);
    }
    queries.push_back(query_of(fmt::format("q{}", q), negatives, fmt::format("d{}", q)));
  }
  return queries;
}

ListTable table_of(const std::vector<MinedQuery>& queries) {
  ListTable table;
  for (const MinedQuery& query : queries) table.add(query);
  return table;
}

TEST(DocumentPrior, IsThatOfTheBestGuess) {
  // x: positive once, half of q1's negatives; y: positive once, never a negative; h: all of q0's and half of q1's.
  const ListTable table = table_of({query_of("q0", {"h"}, "x"), query_of("q1", {"h", "x"}, "y")});
  const DocumentPrior prior = table.shares().prior();
  EXPECT_NEAR(prior.accuracy, (1.0 + 1.0 + 1.5) / 4, 1e-12);
  EXPECT_NEAR(prior.nats, -(std::log(1 / 1.5) + 0.5 * std::log(0.5 / 1.5)) / 4, 1e-12);
}

TEST(DocumentPrior, IsNothingWhereEachIsPositiveAsOftenAsNegative) {
  const DocumentPrior prior = table_of({query_of("q0", {"y"}, "x"), query_of("q1", {"x"}, "y")}).shares().prior();
  EXPECT_NEAR(prior.accuracy, 0.5, 1e-12);
  EXPECT_NEAR(prior.nats, std::log(2.0), 1e-12);
}

TEST(BalancedDraw, MakesEachDocumentANegativeAsOftenAsPositive) {
  const std::vector<MinedQuery> queries = skewed_queries(300);
  const ListTable table = table_of(queries);
  EXPECT_LT(table.shares().prior().nats, 0.6);
  const BalancedDraw balance(table);
  constexpr int kDraws = 200;
  std::map<std::string, double> drawn;
  DocumentShares after;
  for (int draw = 0; draw < kDraws; ++draw) {
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const MinedQuery one = balance.draw(queries[q], 1, random_stream(7, "test.draw", draw, static_cast<int64_t>(q)));
      after.add(one);
      for (const MinedDocument& document : one.documents) drawn[document.id] += document.positive ? 0 : 1.0 / kDraws;
    }
  }
  EXPECT_FALSE(drawn.contains("hub"));
  EXPECT_GT(after.prior().nats, 0.68) << "of 0.693";
}

TEST(BalancedDraw, KeepsPositivesAndTheOrder) {
  const std::vector<MinedQuery> queries = skewed_queries(40);
  const ListTable table = table_of(queries);
  const MinedQuery drawn = BalancedDraw(table).draw(queries[3], 3, random_stream(7, "test.draw"));
  EXPECT_EQ(drawn.positives, queries[3].positives);
  ASSERT_EQ(drawn.documents.size(), 4u);
  EXPECT_TRUE(drawn.documents.back().positive);
  auto from = queries[3].documents.begin();
  for (const MinedDocument& document : drawn.documents) {
    from = std::find(from, queries[3].documents.end(), document);
    ASSERT_NE(from, queries[3].documents.end()) << "not in its place";
  }
}

TEST(BalancedDraw, LeavesAListEmptyThatHoldsNobodysPositive) {
  const std::vector<MinedQuery> queries = {query_of("q0", {"h", "i"}, "x"), query_of("q1", {"x"}, "y")};
  const ListTable table = table_of(queries);
  const MinedQuery drawn = BalancedDraw(table).draw(queries[0], 3, random_stream(7, "test.draw"));
  EXPECT_THAT(drawn.documents, ElementsAre(MinedDocument{"x", 0.5F, true}));
}

}  // namespace
}  // namespace trireme
