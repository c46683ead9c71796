#include "retrieval/mining/mine_block.h"

#include <mutex>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Vectors of queries and a pool, and which of it are positives.
struct Problem {
  torch::Tensor queries, pool;
  std::vector<MiningQuery> facts;
  std::vector<std::string> ids;

  Problem(int64_t query_count, int64_t rows, int64_t dim, uint64_t seed) {
    at::manual_seed(seed);
    queries = at::randn({query_count, dim});
    pool = at::randn({rows, dim});
    for (int64_t row = 0; row < rows; ++row) ids.push_back(fmt::format("9:{}", row * 7919 % 100'003));
    for (int64_t q = 0; q < query_count; ++q) {
      MiningQuery query{.id = fmt::format("q{}", q), .where = fmt::format("queries.jsonl:{}", q + 1)};
      query.positives.push_back(q % rows);
      if ((q * 31 + 5) % rows != q % rows) query.positives.push_back((q * 31 + 5) % rows);
      if (q % 3 == 0) query.excluded.push_back((q + 1) % rows);
      facts.push_back(std::move(query));
    }
  }

  MinedBlock mine(Communicator& communicator, int64_t depth, const FilterConfig& filters = {},
                  int64_t block_rows = 64) const {
    const TensorSource source(pool);
    const IdTable table(ids);
    PoolFacts nothing;
    return mine_block(queries, facts, {source, table, nothing}, depth, filters, {.block_rows = block_rows},
                      communicator);
  }
  MinedBlock mine_alone(int64_t depth, const FilterConfig& filters = {}) const {
    SelfCommunicator self;
    return mine(self, depth, filters);
  }
  float score(int64_t q, int64_t row) const {
    double sum = 0;
    for (int64_t i = 0; i < pool.size(1); ++i)
      sum += double{queries.const_data_ptr<float>()[q * pool.size(1) + i]} *
             double{pool.const_data_ptr<float>()[row * pool.size(1) + i]};
    return static_cast<float>(sum);
  }
  bool is_positive(int64_t q, int64_t row) const {
    return std::ranges::count(facts[static_cast<std::size_t>(q)].positives, row) > 0;
  }
  /// The definition: every document scored and sorted, then the absolute margin.
  MinedQuery brute_force(int64_t q, int64_t depth, std::optional<double> absolute_margin) const {
    const MiningQuery& query = facts[static_cast<std::size_t>(q)];
    std::vector<int64_t> order(ids.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::erase_if(order, [&](int64_t row) { return std::ranges::count(query.excluded, row) > 0; });
    std::ranges::sort(order, [&](int64_t a, int64_t b) { return score(q, a) > score(q, b); });
    order.resize(static_cast<std::size_t>(depth));
    MinedQuery mined{.id = query.id, .documents = {}, .positives = {}};
    float best_positive = -1e30F;
    for (const int64_t row : query.positives) {
      mined.positives.push_back({ids[static_cast<std::size_t>(row)], score(q, row)});
      best_positive = std::max(best_positive, mined.positives.back().score);
    }
    for (const int64_t row : order)
      if (is_positive(q, row) || !absolute_margin || score(q, row) <= double{best_positive} - *absolute_margin)
        mined.documents.push_back({ids[static_cast<std::size_t>(row)], score(q, row), is_positive(q, row)});
    return mined;
  }
};

void expect_near(const MinedQuery& mined, const MinedQuery& expected) {
  ASSERT_EQ(mined.documents.size(), expected.documents.size()) << mined.id;
  for (std::size_t i = 0; i < mined.documents.size(); ++i) {
    EXPECT_EQ(mined.documents[i].id, expected.documents[i].id);
    EXPECT_EQ(mined.documents[i].positive, expected.documents[i].positive);
    EXPECT_NEAR(mined.documents[i].score, expected.documents[i].score, 1e-5);
  }
  ASSERT_EQ(mined.positives.size(), expected.positives.size());
  for (std::size_t i = 0; i < mined.positives.size(); ++i) {
    EXPECT_EQ(mined.positives[i].id, expected.positives[i].id);
    EXPECT_NEAR(mined.positives[i].score, expected.positives[i].score, 1e-5);
  }
}

TEST(MineBlock, EqualsABruteForce) {
  const Problem problem(40, 300, 24, 1);
  const MinedBlock block = problem.mine_alone(20);
  ASSERT_EQ(block.queries.size(), 40u);
  for (int64_t q = 0; q < 40; ++q)
    expect_near(block.queries[static_cast<std::size_t>(q)], problem.brute_force(q, 20, std::nullopt));
  EXPECT_EQ(block.counts, MiningCounts{});
}

TEST(MineBlock, WithAMarginEqualsABruteForceAndCountsWhatIsDropped) {
  const Problem problem(40, 120, 8, 2);
  FilterConfig filters;
  filters.absolute_margin = 0.5;
  const MinedBlock block = problem.mine_alone(60, filters);
  std::vector<MinedQuery> expected;
  int64_t dropped = 0, emptied = 0;
  for (int64_t q = 0; q < 40; ++q) {
    MinedQuery query = problem.brute_force(q, 60, 0.5);
    dropped += 60 - std::ssize(query.documents);
    if (std::ranges::all_of(query.documents, &MinedDocument::positive)) {
      ++emptied;
    } else {
      expected.push_back(std::move(query));
    }
  }
  ASSERT_GT(emptied, 0) << "the case must have lists that are emptied";
  ASSERT_EQ(block.queries.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) expect_near(block.queries[i], expected[i]);
  EXPECT_EQ(block.counts, (MiningCounts{.absolute_margin = dropped, .emptied_dropped = emptied}));
}

TEST(MineBlock, IsTheSameForEveryNumberOfRanksAndEveryBlockSize) {
  const Problem problem(17, 203, 16, 3);
  FilterConfig filters;
  filters.relative_margin = 0.9;
  const MinedBlock expected = problem.mine_alone(50, filters);
  for (const int64_t ranks : {1, 2, 3})
    for (const int64_t block_rows : {7, 64, 1000})
      run_ranks(ranks, [&](Communicator& communicator) {
        const MinedBlock block = problem.mine(communicator, 50, filters, block_rows);
        if (communicator.rank() == 0) {
          EXPECT_EQ(block.queries, expected.queries);
          EXPECT_EQ(block.counts, expected.counts);
        } else {
          EXPECT_TRUE(block.queries.empty());
        }
      });
}

TEST(MineBlock, ScoresPositivesBitForBitWhetherTheyAreFoundOrNot) {
  const Problem problem(30, 90, 33, 4);
  FilterConfig filters;
  filters.on_empty = OnEmpty::kKeepUnfiltered;  // one document may be a positive
  const MinedBlock few = problem.mine_alone(1, filters), all = problem.mine_alone(89, filters);
  ASSERT_EQ(few.queries.size(), 30u);
  for (std::size_t q = 0; q < few.queries.size(); ++q) EXPECT_EQ(few.queries[q].positives, all.queries[q].positives);
}

TEST(MineBlock, TiesAreBrokenByIdWhateverTheRanks) {
  Problem problem(5, 60, 4, 5);
  problem.queries = at::randint(-1, 2, {5, 4}).to(torch::kFloat32);
  problem.pool = at::randint(-1, 2, {60, 4}).to(torch::kFloat32);
  const MinedBlock expected = problem.mine_alone(30);
  run_ranks(2, [&](Communicator& communicator) {
    const MinedBlock block = problem.mine(communicator, 30);
    if (communicator.rank() == 0) {
      EXPECT_EQ(block.queries, expected.queries);
    }
  });
}

TEST(MineBlock, NeverGivesAnExcludedDocument) {
  const Problem problem(12, 30, 6, 6);
  const MinedBlock block = problem.mine_alone(29);
  for (std::size_t q = 0; q < 12; ++q)
    for (const int64_t row : problem.facts[q].excluded)
      for (const MinedDocument& document : block.queries[q].documents)
        EXPECT_NE(document.id, problem.ids[static_cast<std::size_t>(row)]);
}

/// Two queries of which the second has nothing but better documents than its positives.
Problem with_an_emptied_list() {
  Problem problem(2, 4, 2, 7);
  problem.pool.zero_();
  for (int64_t row = 0; row < 4; ++row) problem.pool[row][0] = 0.1 * static_cast<double>(4 - row);
  problem.queries.zero_();
  problem.queries.select(1, 0).fill_(1);
  problem.facts[0].positives.assign(1, 0);
  problem.facts[1].positives.assign(1, 3);
  for (MiningQuery& query : problem.facts) query.excluded.clear();
  return problem;
}

TEST(MineBlock, AnEmptiedListIsDroppedKeptOrRefusedAsToldAndCounted) {
  const Problem problem = with_an_emptied_list();
  FilterConfig filters;
  filters.absolute_margin = 0.05;
  const MinedBlock dropped = problem.mine_alone(4, filters);
  ASSERT_EQ(dropped.queries.size(), 1u);
  EXPECT_EQ(dropped.queries[0].id, "q0");
  EXPECT_EQ(dropped.counts, (MiningCounts{.absolute_margin = 3, .emptied_dropped = 1}));

  filters.on_empty = OnEmpty::kKeepUnfiltered;
  const MinedBlock kept = problem.mine_alone(4, filters);
  ASSERT_EQ(kept.queries.size(), 2u);
  EXPECT_EQ(kept.queries[1].documents.size(), 4u);
  EXPECT_EQ(kept.counts, (MiningCounts{.emptied_unfiltered = 1}));

  filters.on_empty = OnEmpty::kFail;
  EXPECT_THAT(message_of<DataError>([&] { problem.mine_alone(4, filters); }),
              AllOf(HasSubstr("queries.jsonl:2"), HasSubstr("q1"), HasSubstr("filters.on_empty")));
}

TEST(MineBlock, DepthBeyondThePoolIsRefused) {
  const Problem problem(3, 10, 4, 8);
  EXPECT_THAT(message_of<ConfigError>([&] { problem.mine_alone(11); }), HasSubstr("k = 11 and 10 rows"));
}

}  // namespace
}  // namespace trireme
