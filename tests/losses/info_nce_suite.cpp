#include "tests/losses/info_nce_suite.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>

#include <ATen/ops/tensor.h>

#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

constexpr std::array kComputes = {ContrastCompute::kGathered, ContrastCompute::kTiled};
constexpr int64_t kPairs = 11, kWidth = 6;

std::string about(const std::string& name, ContrastCompute compute, int64_t hard_negatives) {
  return fmt::format("{}, {}, {} hard negatives", name, choice_names(compute)[static_cast<int>(compute)].second,
                     hard_negatives);
}

void expect_equal_to_one_rank(const RankRunner& runner, torch::Dtype dtype, double tolerance) {
  for (const int64_t hard_negatives : {0, 1, 3}) {
    const Batch batch = random_batch(kPairs, hard_negatives, kWidth, dtype);
    for (const ConfigCase& item : config_cases()) {
      InfoNceConfig config = item.config;
      const Outcome expected = evaluate_alone(batch, config);
      for (const ContrastCompute compute : kComputes) {
        config.compute = compute;
        runner.run([&](Communicator& comm) {
          ASSERT_EQ(comm.size(), runner.size);
          const Share share = share_of_rank(kPairs, comm);
          const Outcome actual = evaluate(share_of(batch, share.first, share.count), config, comm);
          EXPECT_LT(largest_relative_difference(actual, part_of(expected, share)), tolerance)
              << about(item.name, compute, hard_negatives) << ", rank " << comm.rank();
          for (std::size_t i = 0; i < expected.metrics.size(); ++i)
            EXPECT_NEAR(actual.metrics[i], expected.metrics[i], 1e-5) << "metric " << i << ", " << item.name;
        });
      }
    }
  }
}

TEST_P(InfoNceTest, HasTheGradientOfOneRankWithTheWholeBatch) {
  expect_equal_to_one_rank(GetParam(), torch::kFloat64, 1e-9);
}

TEST_P(InfoNceTest, HasItInFloat32) { expect_equal_to_one_rank(GetParam(), torch::kFloat32, 1e-5); }

TEST_P(InfoNceTest, ReleasedScaleDividesTheRowsGradientByTheRanksAndNothingElse) {
  const Batch batch = random_batch(kPairs, 1, kWidth, torch::kFloat64);
  for (const ContrastCompute compute : kComputes) {
    InfoNceConfig config{.learn_temperature = true, .compute = compute};
    const Outcome exact = evaluate_alone(batch, config);
    config.grad_scale = GradScale::kReleased;
    GetParam().run([&](Communicator& comm) {
      const Share share = share_of_rank(kPairs, comm);
      const Outcome actual = evaluate(share_of(batch, share.first, share.count), config, comm);
      Outcome expected = part_of(exact, share);
      for (torch::Tensor* gradient : {&expected.query, &expected.candidate, &expected.hard_negative})
        *gradient = *gradient / static_cast<double>(comm.size());
      EXPECT_LT(largest_relative_difference(actual, expected), 1e-9);
    });
  }
}

TEST_P(InfoNceTest, DoesNotDependOnTheOrderOfTheBatch) {
  const Batch batch = random_batch(kPairs, 2, kWidth, torch::kFloat64);
  std::vector<int64_t> order(kPairs);
  std::iota(order.begin(), order.end(), 0);
  random_stream(3, "test.order").shuffle(std::span(order));
  const Batch shuffled = reordered(batch, order);
  const torch::Tensor index = at::tensor(order, torch::kInt64);
  for (const ConfigCase& item : config_cases()) {
    Outcome expected = evaluate_alone(batch, item.config);
    for (torch::Tensor* gradient : {&expected.query, &expected.candidate, &expected.hard_negative})
      *gradient = gradient->index_select(0, index);
    GetParam().run([&](Communicator& comm) {
      const Share share = share_of_rank(kPairs, comm);
      const Outcome actual = evaluate(share_of(shuffled, share.first, share.count), item.config, comm);
      EXPECT_LT(largest_relative_difference(actual, part_of(expected, share)), 1e-9) << item.name;
    });
  }
}

TEST_P(InfoNceTest, MakesTheSameCollectivesOnEveryRankWhateverItsRowsAre) {
  // Ranks differ in rows and in known ids, of which the first rank has none; over MPI, verify compares each call.
  Batch batch = random_batch(kPairs, 1, kWidth, torch::kFloat32);
  for (const ConfigCase& item : config_cases()) {
    for (const ContrastCompute compute : kComputes) {
      InfoNceConfig config = item.config;
      config.compute = compute;
      GetParam().run([&](Communicator& comm) {
        const Share share = share_of_rank(kPairs, comm);
        Batch mine = share_of(batch, share.first, share.count);
        if (comm.rank() == 0) {
          mine.labels.known_offset.zero_();
          mine.labels.known_id = mine.labels.known_id.narrow(0, 0, 0);
        }
        const uint64_t before = comm.ledger_number();
        evaluate(mine, config, comm);
        const auto calls = static_cast<double>(comm.ledger_number() - before);
        EXPECT_EQ(sum_over_ranks(calls, comm), calls * static_cast<double>(comm.size())) << item.name;
      });
    }
  }
}

TEST_P(InfoNceTest, CompletesNoLeafsGradientBeforeItsLastCollective) {
  const Batch batch = random_batch(kPairs, 1, kWidth, torch::kFloat64);
  const InfoNceConfig config{.direction = ContrastDirection::kSymmetric, .learn_temperature = true};
  GetParam().run([&](Communicator& comm) {
    const Share share = share_of_rank(kPairs, comm);
    Batch mine = share_of(batch, share.first, share.count);
    const torch::Tensor learned = initial_log_inverse_temperature(config);
    uint64_t calls_at_gradient = 0;
    learned.register_hook([&](const torch::Tensor&) { calls_at_gradient = comm.ledger_number(); });
    mine.rows.query = mine.rows.query.clone().requires_grad_();
    const torch::Tensor loss = info_nce(mine.rows, {}, config, comm, learned).loss;
    const uint64_t calls_before = comm.ledger_number();
    loss.backward();
    EXPECT_GT(calls_at_gradient, calls_before) << "the reduce-scatter came first";
    EXPECT_EQ(calls_at_gradient, comm.ledger_number()) << "and nothing after";
  });
}

TEST_P(InfoNceTest, WithoutGradientGivesTheSameLoss) {
  const Batch batch = random_batch(kPairs, 1, kWidth, torch::kFloat64);
  for (const ContrastCompute compute : kComputes) {
    const InfoNceConfig config{.direction = ContrastDirection::kSymmetric, .compute = compute};
    const double expected = evaluate_alone(batch, config).loss;
    GetParam().run([&](Communicator& comm) {
      const torch::NoGradGuard no_grad;
      const Share share = share_of_rank(kPairs, comm);
      const Batch mine = share_of(batch, share.first, share.count);
      const InfoNceResult result = info_nce(mine.rows, mine.labels, config, comm);
      EXPECT_FALSE(result.loss.requires_grad());
      EXPECT_NEAR(sum_over_ranks(result.loss.item<double>(), comm), expected, 1e-12);
    });
  }
}

}  // namespace
}  // namespace trireme::test
