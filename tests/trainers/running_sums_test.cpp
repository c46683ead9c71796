#include "trainers/running_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/scalar_tensor.h>

#include "core/distributed/collective.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/error.h"
#include "tests/core/distributed/stubbed_communicator.h"
#include "tests/trainers/listener.h"
#include "trainers/step_totals.h"

namespace trireme {
namespace {

using test::Listener;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

RunningSums sums_of(Communicator& communicator, std::vector<std::string> names) {
  return {communicator, c10::kCPU, std::move(names)};
}

void add(RunningSums& sums, std::vector<double> values) {
  std::vector<at::Tensor> shares;
  for (const double value : values) shares.push_back(sums.share(value));
  sums.add(shares);
}

TEST(RunningSums, AreTakenOverRanksAndSteps) {
  for (const int64_t ranks : {1, 2, 4}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      RunningSums sums = sums_of(communicator, {"a", "b"});
      const auto rank = static_cast<double>(communicator.rank()), all = static_cast<double>(ranks);
      add(sums, {1, rank});
      add(sums, {2, 10 * rank});
      EXPECT_EQ(sums.steps(), 2);
      const double ranks_summed = all * (all - 1) / 2;
      EXPECT_THAT(sums.take(), ElementsAre(3 * all, 11 * ranks_summed));
      EXPECT_EQ(sums.steps(), 0);
      EXPECT_THAT(sums.take(), ElementsAre(0, 0)) << "they were taken";
    });
  }
}

TEST(RunningSums, WouldBeSeenToMissTheOtherRanks) {
  run_ranks(2, [](Communicator& communicator) {
    test::StubbedCommunicator stubbed(communicator, CollectiveOp::kAllReduce);
    RunningSums sums = sums_of(stubbed, {"a"});
    add(sums, {1});
    EXPECT_THAT(sums.take(), ElementsAre(1)) << "the test above could not fail";
  });
}

TEST(RunningSums, EveryStepIsReadOnceWhateverIsTaken) {
  run_ranks(2, [](Communicator& communicator) {
    RunningSums sums = sums_of(communicator, {"a", "b"});
    EXPECT_THAT(sums.read_steps(), IsEmpty());
    add(sums, {1, 0.5});
    add(sums, {2, 0.25});
    sums.take();
    add(sums, {3, 0});
    EXPECT_THAT(sums.read_steps(), ElementsAre(ElementsAre(2, 1), ElementsAre(4, 0.5), ElementsAre(6, 0)));
    EXPECT_THAT(sums.read_steps(), IsEmpty());
    add(sums, {4, 1});
    EXPECT_THAT(sums.read_steps(), ElementsAre(ElementsAre(8, 2)));
  });
}

TEST(RunningSums, GoOnBetweenTwoLinesAsIfUnbroken) {
  SelfCommunicator communicator;
  Listener listener;
  RunningSums unbroken = sums_of(communicator, {"a", "b"}), before = sums_of(communicator, {"a", "b"});
  for (RunningSums* each : {&unbroken, &before}) {
    add(*each, {1.0 / 3, 7});
    add(*each, {0.1, -2});
  }
  RunningSums after = sums_of(communicator, {"a", "b"});
  after.restore(before.state(), listener.log);
  EXPECT_THAT(after.read_steps(), IsEmpty()) << "what was examined before the checkpoint";
  for (RunningSums* each : {&unbroken, &after}) add(*each, {1e-9, 4});
  EXPECT_EQ(after.steps(), unbroken.steps());
  EXPECT_EQ(after.state(), unbroken.state());
  EXPECT_EQ(after.take(), unbroken.take());
  EXPECT_EQ(listener.text.str(), "");
}

TEST(RunningSums, AreKeptByNameWhateverTheOrder) {
  SelfCommunicator communicator;
  Listener listener;
  RunningSums saved = sums_of(communicator, {"loss", "tokens"});
  add(saved, {2, 100});
  EXPECT_THAT(saved.state(),
              UnorderedElementsAre(Pair("totals.steps", 1), Pair("totals.loss", 2), Pair("totals.tokens", 100)));
  RunningSums reordered = sums_of(communicator, {"tokens", "loss"});
  reordered.restore(saved.state(), listener.log);
  EXPECT_THAT(reordered.take(), ElementsAre(100, 2));
}

TEST(RunningSums, SumsOfOtherValuesAreLeftAndTheLogSaysSo) {
  SelfCommunicator communicator;
  const std::vector<std::map<std::string, double>> others = {
      {{"totals.steps", 3}, {"totals.0", 6}, {"totals.1", 9}},                              // by number, as once
      {{"totals.steps", 3}, {"totals.loss", 6}},                                            // one fewer
      {{"totals.steps", 3}, {"totals.loss", 6}, {"totals.tokens", 9}, {"totals.more", 1}},  // one more
      {{"totals.steps", 3}, {"totals.loss", 6}, {"totals.images", 9}},                      // another
  };
  for (const auto& counters : others) {
    Listener listener;
    RunningSums sums = sums_of(communicator, {"loss", "tokens"});
    sums.restore(counters, listener.log);
    EXPECT_THAT(listener.text.str(), HasSubstr("without the 3 before"));
    add(sums, {5, 7});
    EXPECT_EQ(sums.steps(), 1);
    EXPECT_THAT(sums.take(), ElementsAre(5, 7));
  }
  Listener listener;
  RunningSums sums = sums_of(communicator, {"loss", "tokens"});
  sums.restore({{"guard.mean", 1}}, listener.log);
  sums.restore({{"totals.steps", 0}, {"totals.0", 0}}, listener.log);
  EXPECT_EQ(listener.text.str(), "") << "nothing is lost where a line has just been written";
}

TEST(RunningSums, RefuseOneNameForTwoValues) {
  SelfCommunicator communicator;
  EXPECT_THROW(sums_of(communicator, {"loss", "loss"}), InternalError);
  EXPECT_THROW(sums_of(communicator, {"steps"}), InternalError);
  RunningSums sums = sums_of(communicator, {"loss", "tokens"});
  EXPECT_THROW(add(sums, {1}), InternalError);
}

std::vector<Curve> curves() { return {{"loss"}, {"accuracy"}, {"candidate_cosine"}, {"right", /*is_ratio=*/true}}; }
StepTotals totals_of(Communicator& communicator) { return {communicator, c10::kCPU, curves()}; }

/// Step `step` of a run in which everything differs, as this rank's share has it. The ratio's whole is 1 in step 0, and
/// 3 with nothing right in later ones.
void add_step(StepTotals& totals, int64_t step, const Communicator& communicator) {
  const auto s = static_cast<double>(step), share = 1.0 / static_cast<double>(communicator.size());
  const auto value = [&](double of_all) { return at::scalar_tensor(of_all * share, at::kFloat); };
  const at::Tensor norm = at::scalar_tensor(8 * s, at::kFloat);
  BatchFacts facts;
  facts.step = step;
  facts.tokens = 10;
  facts.images = communicator.rank();
  facts.skipped.resize(1);
  facts.waited_s = 2;
  totals.add({{value(4 + s)}, {value(0.5)}, {value(0.125 * s)}, {value(step == 0 ? 1 : 0), value(step == 0 ? 1 : 3)}},
             {norm, norm, norm}, facts);
}

TEST(StepTotals, AreMeansOverTheStepsAndSumsOverTheRanks) {
  for (const int64_t ranks : {1, 2}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      StepTotals totals = totals_of(communicator);
      for (const int64_t step : {0, 1, 2, 3}) add_step(totals, step, communicator);
      const StepTotals::Means means = totals.take();
      EXPECT_THAT(means.curves, ElementsAre(Pair("train/loss", 5.5), Pair("train/accuracy", 0.5),
                                            Pair("train/candidate_cosine", 0.1875), Pair("train/right", 0.1)))
          << "right: of all decisions, not the mean of the steps' shares";
      EXPECT_EQ(means.loss, 5.5);
      EXPECT_EQ(means.gradient_norm, 12) << "every rank's alike, not their sum";
      EXPECT_EQ(means.skipped, 4.0 * static_cast<double>(ranks)) << "a sum";
      EXPECT_EQ(means.tokens, 10.0 * static_cast<double>(ranks));
      EXPECT_EQ(means.images, ranks == 2 ? 1 : 0);
      EXPECT_EQ(means.data_wait_s, 2) << "a mean over the ranks";
      EXPECT_THAT(totals.take().curves, Contains(Pair("train/right", 0))) << "of nothing";
    });
  }
}

TEST(StepTotals, GiveTheGuardEveryStepByItself) {
  run_ranks(2, [](Communicator& communicator) {
    StepTotals totals = totals_of(communicator);
    for (const int64_t step : {6, 7, 8}) add_step(totals, step, communicator);
    const std::vector<StepHealth> steps = totals.read_updates();
    ASSERT_EQ(steps.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto step = static_cast<double>(6 + i);
      EXPECT_EQ(steps[i].step, static_cast<int64_t>(6 + i));
      EXPECT_EQ(steps[i].loss, 4 + step);
      EXPECT_EQ(steps[i].gradient_norm, 8 * step);
      EXPECT_EQ(steps[i].candidate_cosine, 0.125 * step);
    }
    EXPECT_THAT(totals.read_updates(), IsEmpty());
    EXPECT_EQ(totals.updates(), 3) << "reading takes nothing out of the means";
  });
}

TEST(StepTotals, GoOnFromACheckpointBetweenTwoLines) {
  SelfCommunicator communicator;
  Listener listener;
  StepTotals unbroken = totals_of(communicator), before = totals_of(communicator), after = totals_of(communicator);
  for (const int64_t step : {0, 1, 2}) add_step(unbroken, step, communicator);
  for (const int64_t step : {0, 1}) add_step(before, step, communicator);
  EXPECT_TRUE(before.state().contains("totals.candidate_cosine"));
  after.restore(before.state(), listener.log);
  add_step(after, 2, communicator);
  EXPECT_EQ(after.state(), unbroken.state());
  const std::vector<StepHealth> steps = after.read_updates();
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].step, 2);
  EXPECT_EQ(after.take().curves, unbroken.take().curves);
}

TEST(StepTotals, RefuseValuesThatAreNotThoseOfTheCurves) {
  SelfCommunicator communicator;
  StepTotals totals = totals_of(communicator);
  const at::Tensor one = at::scalar_tensor(1.0, at::kFloat);
  EXPECT_THROW(totals.add({{one}, {one}, {one}}, {one, one, one}, {}), InternalError);
  EXPECT_THROW(totals.add({{one}, {one}, {one}, {one}}, {one, one, one}, {}), InternalError);
}

}  // namespace
}  // namespace trireme
