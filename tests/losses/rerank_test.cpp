#include "losses/rerank.h"

#include <gmock/gmock.h>

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "core/config/config.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "tests/losses/contrast_cases.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 12, kVocabulary = 7;

AnswerTokens random_answers() {
  at::manual_seed(3);
  AnswerTokens answers;
  answers.logits = at::randn({kTokens, kVocabulary}, torch::kFloat64);
  answers.token = at::randint(kVocabulary, {kTokens}, torch::kInt64);
  answers.listwise = at::tensor({0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1}, torch::kInt64).to(torch::kBool);
  return answers;
}

AnswerTokens part(const AnswerTokens& answers, int64_t first, int64_t count) {
  return {answers.logits.narrow(0, first, count).clone().requires_grad_(), answers.token.narrow(0, first, count),
          answers.listwise.narrow(0, first, count)};
}

AnswerTokens only(const AnswerTokens& answers, const torch::Tensor& rows) {
  return {answers.logits.index({rows}), answers.token.index({rows}), answers.listwise.index({rows})};
}

double cross_entropy(const AnswerTokens& answers) {
  return at::cross_entropy_loss(answers.logits, answers.token).item<double>();
}

TEST(RerankLoss, IsTheMeanOverTokensOrTheSumOfTheTasksMeans) {
  const AnswerTokens answers = random_answers();
  SelfCommunicator self;
  const RerankLossResult result = rerank_loss(answers, {}, self);
  EXPECT_NEAR(result.loss.item<double>(), cross_entropy(answers), 1e-12);
  const double pointwise = cross_entropy(only(answers, answers.listwise.logical_not()));
  const double listwise = cross_entropy(only(answers, answers.listwise));
  EXPECT_NEAR(result.pointwise.item<double>(), pointwise, 1e-12);
  EXPECT_NEAR(result.listwise.item<double>(), listwise, 1e-12);
  const RerankLossConfig tasks{.weighting = RerankWeighting::kTasks, .listwise_weight = 0.5};
  EXPECT_NEAR(rerank_loss(answers, tasks, self).loss.item<double>(), pointwise + 0.5 * listwise, 1e-12);
}

TEST(RerankLoss, HasTheGradientOfOneRankWithTheWholeBatch) {
  const AnswerTokens answers = random_answers();
  for (const RerankWeighting weighting : {RerankWeighting::kTokens, RerankWeighting::kTasks}) {
    const RerankLossConfig config{.weighting = weighting};
    SelfCommunicator self;
    const AnswerTokens whole = part(answers, 0, kTokens);
    const torch::Tensor loss = rerank_loss(whole, config, self).loss;
    loss.backward();
    for (const int64_t ranks : {2, 4}) {
      run_ranks(ranks, [&](Communicator& comm) {
        const Share share = share_of_rank(kTokens, comm);
        const AnswerTokens mine = part(answers, share.first, share.count);
        const torch::Tensor my_loss = rerank_loss(mine, config, comm).loss;
        my_loss.backward();
        EXPECT_NEAR(sum_over_ranks(my_loss.item<double>(), comm), loss.item<double>(), 1e-12);
        EXPECT_LT(
            largest_relative_difference(mine.logits.grad(), whole.logits.grad().narrow(0, share.first, share.count)),
            1e-9);
      });
    }
  }
}

TEST(RerankLoss, OfPartsAddsUpToThatOfTheWhole) {
  const AnswerTokens answers = random_answers();
  SelfCommunicator self;
  for (const RerankWeighting weighting : {RerankWeighting::kTokens, RerankWeighting::kTasks}) {
    const RerankLossConfig config{.weighting = weighting};
    const AnswerTokens whole = part(answers, 0, kTokens);
    const RerankLossResult at_once = rerank_loss(whole, config, self);
    at_once.loss.backward();
    const AnswerCounts counts = count_answers(answers.listwise, self);
    double loss = 0, pointwise = 0, listwise = 0;
    for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 5}, {5, 1}, {6, 6}}) {
      const AnswerTokens some = part(answers, first, count);
      const RerankLossResult result = rerank_loss(some, config, counts);
      result.loss.backward();
      EXPECT_LT(largest_relative_difference(some.logits.grad(), whole.logits.grad().narrow(0, first, count)), 1e-12);
      loss += result.loss.item<double>();
      pointwise += result.pointwise.item<double>();
      listwise += result.listwise.item<double>();
    }
    EXPECT_NEAR(loss, at_once.loss.item<double>(), 1e-12);
    EXPECT_NEAR(pointwise, at_once.pointwise.item<double>(), 1e-12);
    EXPECT_NEAR(listwise, at_once.listwise.item<double>(), 1e-12);
  }
}

TEST(RerankLoss, PerRankIsTheMeanOfTheRanksMeans) {
  const AnswerTokens answers = random_answers();
  const double expected = (cross_entropy(part(answers, 0, 2)) + cross_entropy(part(answers, 2, kTokens - 2))) / 2;
  run_ranks(2, [&](Communicator& comm) {
    const AnswerTokens mine = comm.rank() == 0 ? part(answers, 0, 2) : part(answers, 2, kTokens - 2);
    const torch::Tensor loss = rerank_loss(mine, {.token_mean = TokenMean::kPerRank}, comm).loss;
    EXPECT_NEAR(sum_over_ranks(loss.item<double>(), comm), expected, 1e-12);
  });
}

TEST(RerankLoss, OfARankWithoutTokensIsZero) {
  const AnswerTokens answers = random_answers();
  const double expected = cross_entropy(answers);
  run_ranks(2, [&](Communicator& comm) {
    const AnswerTokens mine = comm.rank() == 0 ? part(answers, 0, kTokens) : part(answers, 0, 0);
    const torch::Tensor loss = rerank_loss(mine, {}, comm).loss;
    loss.backward();
    EXPECT_NEAR(loss.item<double>(), comm.rank() == 0 ? expected : 0, 1e-12);
  });
}

TEST(RerankLossRefusal, NamesWhatIsWrong) {
  SelfCommunicator self;
  const auto refusal = [&](auto change) {
    AnswerTokens answers = random_answers();
    change(answers);
    return message_of<ShapeError>([&] { rerank_loss(answers, {}, self); });
  };
  EXPECT_THAT(refusal([](AnswerTokens& a) { a.logits = a.logits[0]; }), HasSubstr("logits must be [L, V]"));
  EXPECT_THAT(refusal([](AnswerTokens& a) { a.token = a.token.narrow(0, 0, 3); }),
              AllOf(HasSubstr("token must be [12] int64"), HasSubstr("[3] int64")));
  EXPECT_THAT(refusal([](AnswerTokens& a) { a.listwise = a.token; }), HasSubstr("listwise must be [12] bool"));
  EXPECT_THAT(refusal([](AnswerTokens& a) { a.token[4] = kVocabulary; }), HasSubstr("between 0 and 6; got 1 to 7"));
  EXPECT_THAT(refusal([](AnswerTokens& a) { a = part(a, 0, 0); }), HasSubstr("got none on any rank"));
}

}  // namespace
}  // namespace trireme::test
