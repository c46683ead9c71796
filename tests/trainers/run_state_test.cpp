#include "trainers/run_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/trainers/listener.h"

namespace trireme {
namespace {

using test::Listener;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

RunIdentity identity() {
  return {.recipe = "toy", .config_dump = "recipe: \"toy\"\n", .config_values = "recipe: \"toy\"\n", .seed = 7};
}

/// A model of two tensors in training, on one rank.
struct Training {
  explicit Training(double value = 0, std::string second = "b") {
    leaves = {{"a", at::full({2, 3}, value).set_requires_grad(true)},
              {std::move(second), at::full({4}, -value, at::kBFloat16).set_requires_grad(true)}};
    optimizer.emplace(OptimConfig{}, leaves);
  }
  void step(double gradient) {
    for (auto& [name, leaf] : leaves) leaf.mutable_grad() = at::full_like(leaf, gradient);
    const at::Tensor one = at::ones({}), zero = at::zeros({});
    optimizer->step(0.1, {one, one, zero});
  }
  std::vector<at::Tensor> all() const {
    std::vector<at::Tensor> tensors = values_of(leaves);
    for (const auto& [name, tensor] : optimizer->state()) tensors.push_back(tensor);
    return tensors;
  }
  void expect_equal(const Training& other) const {
    const auto mine = all(), theirs = other.all();
    ASSERT_EQ(mine.size(), theirs.size());
    for (std::size_t i = 0; i < mine.size(); ++i) EXPECT_TRUE(at::equal(mine[i], theirs[i])) << i;
  }

  NamedTensors leaves;
  std::optional<Optimizer> optimizer;
};

RunState open(const std::filesystem::path& folder, Communicator& communicator, Log& log) {
  return {folder, identity(), ResumeConfig{}, CheckpointConfig{}, communicator, log};
}

/// Two steps and a checkpoint.
void train(const std::filesystem::path& folder, Communicator& communicator, Log& log, Training& training) {
  RunState run = open(folder, communicator, log);
  const auto [step, counters] = run.restore(training.leaves, *training.optimizer);
  EXPECT_EQ(step, 0);
  EXPECT_TRUE(counters.empty());
  EXPECT_EQ(run.last_checkpoint(), std::nullopt);
  training.step(1);
  training.step(-0.5);
  run.checkpoint(2, training.leaves, *training.optimizer, {{"totals.loss", 1.0 / 3}}, {2});
  EXPECT_EQ(run.last_checkpoint(), 2);
  run.finish();
}

TEST(RunState, EveryRankGoesOnFromWhatRankZeroReads) {
  for (const int64_t ranks_before : {1, 2}) {
    const TempFolder folder;
    Training kept(1);
    run_ranks(ranks_before, [&](Communicator& communicator) {
      Listener listener;
      Training training(1);
      train(folder.path() / "run", communicator, listener.log, training);
      if (communicator.rank() == 0) kept = training;
    });
    for (const int64_t ranks : {1, 2, 4}) {
      run_ranks(ranks, [&](Communicator& communicator) {
        Listener listener;
        RunState run = open(folder.path() / "run", communicator, listener.log);
        Training fresh(5);
        const auto [step, counters] = run.restore(fresh.leaves, *fresh.optimizer);
        EXPECT_EQ(step, 2);
        EXPECT_EQ(counters, (Counters{{"totals.loss", 1.0 / 3}}));
        EXPECT_EQ(run.last_checkpoint(), 2);
        EXPECT_EQ(fresh.optimizer->steps_done(), 2);
        fresh.expect_equal(kept);
        EXPECT_TRUE(fresh.leaves[0].second.requires_grad());
        communicator.barrier();  // rank 0 holds the lock while the others look
      });
    }
  }
}

TEST(RunState, ACheckpointHoldsTheTensorsAsTheyWereWhenItWasAskedFor) {
  const TempFolder folder;
  SelfCommunicator communicator;
  Listener listener;
  Training training(1), asked(1);
  {
    RunState run = open(folder.path() / "run", communicator, listener.log);
    run.restore(training.leaves, *training.optimizer);
    for (Training* each : {&training, &asked}) each->step(1);
    run.checkpoint(1, training.leaves, *training.optimizer, {});
    training.step(3);  // while it is written
    run.finish();
  }
  RunState run = open(folder.path() / "run", communicator, listener.log);
  Training fresh(5);
  EXPECT_EQ(run.restore(fresh.leaves, *fresh.optimizer).step, 1);
  fresh.expect_equal(asked);
  EXPECT_THAT(listener.text.str(), HasSubstr("going on from step 1"));
}

TEST(RunState, RefusesACheckpointOfOtherTensorsByName) {
  const TempFolder folder;
  SelfCommunicator communicator;
  Listener listener;
  Training training(1);
  train(folder.path() / "run", communicator, listener.log, training);
  RunState run = open(folder.path() / "run", communicator, listener.log);
  Training other(5, "c");
  EXPECT_THAT(message_of<DataError>([&] { run.restore(other.leaves, *other.optimizer); }),
              AllOf(HasSubstr("step_000002"), HasSubstr("must hold c in its shape and dtype; got nothing")));
}

TEST(RunState, OnlyRankZeroWrites) {
  const TempFolder folder;
  run_ranks(3, [&](Communicator& communicator) {
    Listener listener;
    RunState run = open(folder.path() / "run", communicator, listener.log);
    communicator.barrier();
    run.write({.step = 0, .values = {{"train/loss", static_cast<double>(communicator.rank())}}});
    run.write_file("note.json", std::to_string(communicator.rank()));
    run.write_trainable({});
    run.finish();
    communicator.barrier();
    EXPECT_EQ(read_text_file(run.folder() / "metrics.jsonl"), "{\"step\":0,\"train/loss\":0.0}\n");
    EXPECT_EQ(read_text_file(run.folder() / "note.json"), "0");
    communicator.barrier();
  });
}

TEST(RunState, CountersOfPartsAreOneMap) {
  EXPECT_EQ(merged({{{"guard.mean", 1}}, {}, {{"totals.steps", 2}}}),
            (Counters{{"guard.mean", 1}, {"totals.steps", 2}}));
}

}  // namespace
}  // namespace trireme
