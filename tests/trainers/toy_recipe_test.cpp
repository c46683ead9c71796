/// A third recipe goes through the loop, the benchmarks and the table's row: what docs/adding_a_recipe.md counts.
#include "tests/trainers/toy_recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/error.h"
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
using ::testing::Not;

ConfigSource config(const std::filesystem::path& run, const std::string& more = "") {
  return ConfigSource::parse(fmt::format(R"(recipe: toy
run_dir: {}
optim: {{kind: sgd, peak_lr: 0.2, momentum: 0, clip_norm: null, weight_decay: 0}}
schedule: {{kind: constant}}
train: {{steps: 40, log_every_steps: 5}}
checkpoint: {{every_steps: 10}}
{})",
                                         run.string(), more),
                             "toy.yaml");
}

/// Trains on one of the ranks of `communicator`; stops when asked for the `stop_after`th time.
TrainingEnd train_toy(const ConfigSource& source, Communicator& communicator, int64_t stop_after = 1000) {
  Listener listener;
  int64_t asked = 0;
  TrainingJob job{
      .communicator = communicator,
      .console = listener.console,
      .log = listener.log,
      .progress = [](const std::string&, const std::string&, std::optional<int64_t>) { return ProgressOptions{}; },
      .stop_requested = [&] { return ++asked >= stop_after; },
      .peak_memory_bytes = [] { return int64_t{0}; }};
  return test::toy().train(source, job);
}
TrainingEnd train_toy(const ConfigSource& source, int64_t stop_after = 1000) {
  SelfCommunicator alone;
  return train_toy(source, alone, stop_after);
}

std::string metrics(const std::filesystem::path& run) { return read_text_file(run / "metrics.jsonl"); }
std::string weights(const std::filesystem::path& run, const char* step) {
  return read_text_file(run / "checkpoints" / step / "weights.safetensors");
}

TEST(ToyRecipe, LearnsAndWritesItsCurves) {
  const TempFolder folder;
  const auto run = folder.path() / "run";
  EXPECT_EQ(train_toy(config(run)), TrainingEnd::kFinished);
  const std::string lines = metrics(run);
  EXPECT_EQ(std::ranges::count(lines, '\n'), 8);
  EXPECT_THAT(lines, AllOf(HasSubstr("train/within_one"), HasSubstr("train/gradient_norm"), HasSubstr("train/slope"),
                           HasSubstr("data/skipped_points")));
  EXPECT_THAT(read_text_file(run / "timing.jsonl"), HasSubstr("time/points_per_s"));
  const auto last = lines.rfind("\"train/slope\"", lines.size());
  EXPECT_NEAR(std::stod(lines.substr(last + 14)), 3, 0.05) << lines;
}

TEST(ToyRecipe, StoppedAndStartedAgainHasTheBitsOfAnUnbrokenRun) {
  const TempFolder folder;
  const auto whole = folder.path() / "whole", broken = folder.path() / "broken";
  train_toy(config(whole));
  EXPECT_EQ(train_toy(config(broken), 7), TrainingEnd::kStopped);
  EXPECT_EQ(train_toy(config(broken), 13), TrainingEnd::kStopped);
  EXPECT_EQ(train_toy(config(broken)), TrainingEnd::kFinished);
  EXPECT_EQ(metrics(broken), metrics(whole));
  EXPECT_EQ(weights(broken, "step_000040"), weights(whole, "step_000040"));
}

TEST(ToyRecipe, ABatchHasAsManyUpdatesAsTheRecipeSays) {
  const TempFolder folder;
  const auto one = folder.path() / "one", three = folder.path() / "three";
  train_toy(config(one, "updates: 1\n"));
  train_toy(config(three, "updates: 3\n"));
  const auto updates = [](const std::filesystem::path& run) {
    const Checkpoint checkpoint = read_checkpoint(run / "checkpoints" / "step_000040");
    for (const auto& [name, tensor] : checkpoint.optimizer)
      if (name == "step") return tensor.item<double>();
    return -1.0;
  };
  EXPECT_EQ(updates(one), 40);
  EXPECT_EQ(updates(three), 120);
}

TEST(ToyRecipe, TrainsTheSameOnAnyNumberOfRanks) {
  const TempFolder folder;
  std::vector<std::string> lines;
  for (const int64_t ranks : {1, 2, 4}) {
    const auto run = folder.path() / fmt::format("r{}", ranks);
    run_ranks(ranks, [&](Communicator& communicator) { train_toy(config(run), communicator); });
    const Checkpoint checkpoint = read_checkpoint(run / "checkpoints" / "step_000040");
    EXPECT_NEAR(checkpoint.weights.front().second.item<double>(), 3, 0.05);
    lines.push_back(fmt::format("{:.10f} {:.10f}", checkpoint.weights[0].second.item<double>(),
                                checkpoint.weights[1].second.item<double>()));
  }
  EXPECT_EQ(lines[1], lines[0]);
  EXPECT_EQ(lines[2], lines[0]);
}

TEST(ToyRecipe, TheGuardEndsARunWhoseLossIsNotFinite) {
  const TempFolder folder;
  const auto run = folder.path() / "run";
  const std::string error = message_of<DivergedError>([&] { train_toy(config(run, "broken_after: 12\n")); });
  EXPECT_THAT(error, HasSubstr("finite"));
}

TEST(ToyRecipe, AConfigOfAnotherRecipeIsRefused) {
  const TempFolder folder;
  const ConfigSource other = ConfigSource::parse("recipe: tow\nrun_dir: r\n", "toy.yaml");
  EXPECT_THAT(message_of<ConfigError>([&] { recipe_of(other); }),
              AllOf(HasSubstr("lamra_ret, lamra_rank"), HasSubstr("tow")));
  EXPECT_THAT(message_of<ConfigError>([&] { train_toy(other); }), HasSubstr("toy"));
  EXPECT_THAT(message_of<ConfigError>([&] { train_toy(config(folder.path() / "r", "data: {points: 4}\n")); }),
              HasSubstr("data.points"));
}

TEST(ToyRecipe, TheTableSaysItsKeys) {
  EXPECT_THAT(test::toy().keys_help(), AllOf(HasSubstr("points_global"), HasSubstr("broken_after"),
                                             HasSubstr("peak_lr"), Not(HasSubstr("lora"))));
}

}  // namespace
}  // namespace trireme
