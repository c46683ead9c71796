#include "retrieval/search/search.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "retrieval/search/kernels.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Ids whose order by bytes is not the order of the rows.
IdTable some_ids(int64_t rows) {
  std::vector<std::string> ids;
  for (int64_t row = 0; row < rows; ++row) ids.push_back(fmt::format("d{}", row * 7919 % 1'000'003));
  return IdTable(ids);
}

/// The definition: every score in long double, rounded to float32, all rows sorted.
Neighbours brute_force(const torch::Tensor& queries, const torch::Tensor& corpus, const IdTable& ids, int64_t k,
                       const ExcludedRows& excluded = {}) {
  const int64_t dim = corpus.size(1), rows = corpus.size(0);
  Neighbours found{at::full({queries.size(0), k}, -1, torch::kInt64),
                   at::full({queries.size(0), k}, -std::numeric_limits<float>::infinity())};
  for (int64_t q = 0; q < queries.size(0); ++q) {
    std::vector<float> scores(static_cast<std::size_t>(rows));
    for (int64_t row = 0; row < rows; ++row) {
      long double sum = 0;
      for (int64_t i = 0; i < dim; ++i)
        sum += static_cast<long double>(queries.const_data_ptr<float>()[q * dim + i]) *
               corpus.const_data_ptr<float>()[row * dim + i];
      scores[static_cast<std::size_t>(row)] = static_cast<float>(static_cast<double>(sum));
    }
    std::vector<int64_t> order;
    for (int64_t row = 0; row < rows; ++row) {
      const bool out = !excluded.empty() && std::count(excluded[static_cast<std::size_t>(q)].begin(),
                                                       excluded[static_cast<std::size_t>(q)].end(), row) > 0;
      if (!out) order.push_back(row);
    }
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      const float x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
      return x != y ? x > y : ids[a] < ids[b];
    });
    for (int64_t i = 0; i < std::min(k, std::ssize(order)); ++i) {
      found.rows.mutable_data_ptr<int64_t>()[q * k + i] = order[static_cast<std::size_t>(i)];
      found.scores.mutable_data_ptr<float>()[q * k + i] =
          scores[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])];
    }
  }
  return found;
}

Neighbours search_alone(const torch::Tensor& queries, const torch::Tensor& corpus, const IdTable& ids, int64_t k,
                        int64_t block_rows = 32768, const ExcludedRows& excluded = {}) {
  SelfCommunicator self;
  return search(queries, TensorSource(corpus), ids, k, {.block_rows = block_rows}, self, excluded);
}

void expect_equal(const Neighbours& found, const Neighbours& expected) {
  EXPECT_TRUE(at::equal(found.rows, expected.rows)) << found.rows << expected.rows;
  EXPECT_TRUE(at::equal(found.scores, expected.scores));
}

/// Vectors of small whole numbers: products are exact in float32, and scores tie all the time.
torch::Tensor coarse(int64_t rows, int64_t dim) { return at::randint(-1, 2, {rows, dim}).to(torch::kFloat32); }

/// Copies of one direction that differ by less than a float32 product of this length can tell.
torch::Tensor nearly_equal(int64_t rows, int64_t dim) { return at::randn({1, dim}) + at::randn({rows, dim}) * 3e-7; }

TEST(Search, EqualsTheDefinitionOnManyShapes) {
  at::manual_seed(1);
  struct Shape {
    int64_t queries, rows, dim, k;
  };
  for (const Shape& s : {Shape{1, 1, 1, 1}, Shape{3, 5, 2, 5}, Shape{2, 700, 17, 1}, Shape{9, 300, 64, 300},
                         Shape{5, 2500, 33, 10}, Shape{600, 40, 8, 3}}) {
    const IdTable ids = some_ids(s.rows);
    const auto queries = at::randn({s.queries, s.dim}), corpus = at::randn({s.rows, s.dim});
    expect_equal(search_alone(queries, corpus, ids, s.k, 512), brute_force(queries, corpus, ids, s.k));
    const auto coarse_queries = coarse(s.queries, s.dim), coarse_corpus = coarse(s.rows, s.dim);
    expect_equal(search_alone(coarse_queries, coarse_corpus, ids, s.k, 512),
                 brute_force(coarse_queries, coarse_corpus, ids, s.k));
  }
}

TEST(Search, DecidesByExactScoresWhereTheProductCannotTell) {
  at::manual_seed(2);
  const IdTable ids = some_ids(3000);
  const auto corpus = nearly_equal(3000, 256), queries = nearly_equal(4, 256);
  expect_equal(search_alone(queries, corpus, ids, 7, 1000), brute_force(queries, corpus, ids, 7));
}

TEST(Search, GivesEqualScoresToTheSmallerId) {
  const IdTable ids = some_ids(5000);
  const Neighbours found = search_alone(at::ones({2, 16}), at::ones({5000, 16}), ids, 9, 700);
  for (int64_t q = 0; q < 2; ++q)
    for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(ids.place(found.rows[q][i].item<int64_t>()), i);
}

TEST(Search, IsTheSameForEveryBlockSizeAndThreadCount) {
  at::manual_seed(3);
  const IdTable ids = some_ids(1500);
  const auto queries = at::randn({37, 96}), corpus = at::cat({at::randn({1000, 96}), coarse(500, 96)});
  const Neighbours expected = search_alone(queries, corpus, ids, 20);
  const int threads = at::get_num_threads();
  for (const int64_t block_rows : {1, 7, 64, 999, 1500, 4000})
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      expect_equal(search_alone(queries, corpus, ids, 20, block_rows), expected);
    }
  at::set_num_threads(threads);
}

TEST(Search, IsTheSameOnEveryRankForEveryNumberOfRanks) {
  at::manual_seed(4);
  for (const int64_t rows : {3, 203}) {
    const IdTable ids = some_ids(rows);
    const auto queries = coarse(11, 6), corpus = coarse(rows, 6);
    const Neighbours expected = brute_force(queries, corpus, ids, 3);
    for (const int64_t ranks : {1, 2, 3, 5}) {
      std::mutex one_at_a_time;
      run_ranks(ranks, [&](Communicator& communicator) {
        const Neighbours found = search(queries, TensorSource(corpus), ids, 3, {.block_rows = 50}, communicator);
        const std::lock_guard lock(one_at_a_time);
        expect_equal(found, expected);
      });
    }
  }
}

TEST(Search, Float16VectorsAreSearchedAsTheNumbersTheyAre) {
  at::manual_seed(5);
  const IdTable ids = some_ids(400);
  const auto queries = at::randn({5, 40}).to(torch::kFloat16), corpus = at::randn({400, 40}).to(torch::kFloat16);
  expect_equal(search_alone(queries, corpus, ids, 8),
               brute_force(queries.to(torch::kFloat32), corpus.to(torch::kFloat32), ids, 8));
}

TEST(Search, TakesVectorsOfVeryUnequalNormsAndZeros) {
  at::manual_seed(6);
  const IdTable ids = some_ids(600);
  const auto scale = at::randn({600, 1}).mul(8).exp();
  auto corpus = at::randn({600, 24}) * scale;
  corpus.narrow(0, 100, 50).zero_();
  corpus.narrow(0, 300, 20).fill_(1e-38);
  const auto queries = at::cat({at::randn({4, 24}), at::zeros({1, 24}), at::full({1, 24}, 1e-30)});
  expect_equal(search_alone(queries, corpus, ids, 25, 128), brute_force(queries, corpus, ids, 25));
}

TEST(Search, NeverGivesAnExcludedRow) {
  at::manual_seed(7);
  const IdTable ids = some_ids(90);
  const auto queries = at::randn({3, 5}), corpus = at::randn({90, 5});
  ExcludedRows excluded(3);
  for (int64_t row = 0; row < 80; row += 2) excluded[1].push_back(78 - row);
  excluded[2] = {89, 0, 89};
  const Neighbours expected = brute_force(queries, corpus, ids, 50, excluded);
  expect_equal(search_alone(queries, corpus, ids, 50, 32, excluded), expected);
  run_ranks(3, [&](Communicator& communicator) {
    const auto found = search(queries, TensorSource(corpus), ids, 50, {.block_rows = 16}, communicator, excluded);
    EXPECT_TRUE(at::equal(found.rows, expected.rows));
  });
}

/// Counts what is asked for.
class WatchedSource : public VectorSource {
 public:
  explicit WatchedSource(torch::Tensor vectors) : vectors_(std::move(vectors)), reads_(vectors_.size(0), 0) {}
  int64_t rows() const override { return vectors_.size(0); }
  int64_t dim() const override { return vectors_.size(1); }
  torch::Tensor read(int64_t first_row, int64_t count) const override {
    for (int64_t row = first_row; row < first_row + count; ++row) ++reads_[static_cast<std::size_t>(row)];
    largest_ = std::max(largest_, count);
    if (fail_from_ >= 0 && first_row + count > fail_from_)
      throw DataError("source", "rows must be there; got none; x.");
    return vectors_.narrow(0, first_row, count);
  }
  const std::vector<int>& reads() const { return reads_; }
  int64_t largest() const { return largest_; }
  void fail_from(int64_t row) { fail_from_ = row; }

 private:
  torch::Tensor vectors_;
  mutable std::vector<int> reads_;
  mutable int64_t largest_ = 0;
  int64_t fail_from_ = -1;
};

TEST(Search, ReadsEveryRowOnceAndNeverMoreThanABlock) {
  const WatchedSource corpus(at::randn({333, 4}));
  SelfCommunicator self;
  std::vector<int64_t> shown;
  search(at::randn({2, 4}), corpus, some_ids(333), 5, {.block_rows = 100}, self, {}, [&](int64_t done, int64_t of) {
    EXPECT_EQ(of, 333);
    shown.push_back(done);
  });
  EXPECT_EQ(corpus.reads(), std::vector<int>(333, 1));
  EXPECT_EQ(corpus.largest(), 100);
  EXPECT_EQ(shown, (std::vector<int64_t>{100, 200, 300, 333}));
}

TEST(Search, PassesOnWhatReadingThrows) {
  WatchedSource corpus(at::randn({300, 4}));
  corpus.fail_from(250);
  SelfCommunicator self;
  EXPECT_THAT(message_of<DataError>([&] {
                search(at::randn({2, 4}), corpus, some_ids(300), 5, {.block_rows = 100}, self);
              }),
              HasSubstr("rows must be there"));
}

TEST(Search, RefusesNanAndInfinityNamingTheId) {
  const IdTable ids = some_ids(20);
  for (const float bad : {NAN, INFINITY}) {
    auto corpus = at::randn({20, 3});
    corpus[13][1] = bad;
    EXPECT_THAT(message_of<DataError>([&] {
                  search_alone(at::randn({2, 3}), corpus, ids, 5, 8);
                }),
                AllOf(HasSubstr("NaN or infinity"), HasSubstr(std::string(ids[13])), HasSubstr("row 13")));
    EXPECT_THAT(message_of<DataError>([&] {
                  search_alone(corpus, at::randn({20, 3}), ids, 5);
                }),
                HasSubstr("query row 13"));
  }
}

TEST(Search, RefusesNormsWhoseProductsOverflow) {
  EXPECT_THAT(message_of<DataError>([&] {
                search_alone(at::ones({1, 3}), at::full({9, 3}, 1e19), some_ids(9), 5);
              }),
              HasSubstr("norms up to 1e+18"));
}

TEST(Search, RefusesMoreNeighboursThanThereAre) {
  const IdTable ids = some_ids(10);
  const auto queries = at::randn({2, 3}), corpus = at::randn({10, 3});
  EXPECT_THAT(message_of<ConfigError>([&] { search_alone(queries, corpus, ids, 11); }),
              AllOf(HasSubstr("k = 11 and 10 rows"), HasSubstr("lower k")));
  EXPECT_THAT(message_of<ConfigError>([&] { search_alone(queries, corpus, ids, 0); }), HasSubstr("k = 0"));
}

TEST(Search, EndsTheListOfAQueryThatTheCorpusHasNoMoreFor) {
  at::manual_seed(11);
  const IdTable ids = some_ids(10);
  const auto queries = at::randn({4, 3}), corpus = at::randn({10, 3});
  const ExcludedRows excluded = {{}, {2, 3}, {9, 8, 7, 6, 5, 4, 3, 1, 0}, {5}};
  const Neighbours expected = brute_force(queries, corpus, ids, 10, excluded);
  for (const int64_t block_rows : {3, 32})
    expect_equal(search_alone(queries, corpus, ids, 10, block_rows, excluded), expected);
  run_ranks(3, [&](Communicator& communicator) {
    expect_equal(search(queries, TensorSource(corpus), ids, 10, {.block_rows = 2}, communicator, excluded), expected);
  });
  std::vector<int64_t> lengths;
  for (int64_t query = 0; query < 4; ++query) lengths.push_back(list_length(expected.scores, query));
  EXPECT_EQ(lengths, (std::vector<int64_t>{10, 8, 1, 9})) << "each its own";
}

TEST(Search, RefusesOtherShapesAndDtypes) {
  const IdTable ids = some_ids(10);
  EXPECT_THAT(message_of<ShapeError>([&] {
                search_alone(at::randn({2, 4}), at::randn({10, 3}), ids, 2);
              }),
              AllOf(HasSubstr("[Q, 3]"), HasSubstr("[2, 4]")));
  EXPECT_THAT(message_of<ShapeError>([&] { TensorSource(at::zeros({10, 3}, torch::kFloat64)); }), HasSubstr("float64"));
  EXPECT_THAT(message_of<ShapeError>([&] { TensorSource(at::zeros({10})); }), HasSubstr("[10]"));
}

TEST(Kernels, ExactDotIsTheFloat64SumOfExactProducts) {
  at::manual_seed(8);
  for (const int64_t dim : {1, 7, 8, 15, 16, 17, 100, 512, 1536}) {
    const auto a = at::randn({dim}), b = at::randn({dim});
    long double sum = 0;
    for (int64_t i = 0; i < dim; ++i)
      sum += static_cast<long double>(a.const_data_ptr<float>()[i]) * b.const_data_ptr<float>()[i];
    EXPECT_NEAR(exact_dot(a.const_data_ptr<float>(), b.const_data_ptr<float>(), dim), static_cast<double>(sum), 1e-13);
    EXPECT_NEAR(float_dot(a.const_data_ptr<float>(), b.const_data_ptr<float>(), dim), static_cast<double>(sum), 1e-4);
  }
}

}  // namespace
}  // namespace trireme
