#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "tests/launch/toy_run.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::lines_of;
using test::ProgramResult;
using test::run_program;
using ::testing::AllOf;
using ::testing::HasSubstr;

using TrainVerbTest = test::ToyRun;

TEST_F(TrainVerbTest, LearnsAndLeavesACompleteRunDirectory) {
  const ProgramResult ran = train();
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* name : {"config.yaml", "environment.json", "trainable.json", "metrics.jsonl"}) {
    EXPECT_TRUE(fs::exists(at("run") / name)) << name;
  }
  EXPECT_EQ(lines_of(at("run/metrics.jsonl")), 15);
  const SafetensorsFile weights(at("run/checkpoints/step_000060/weights.safetensors"));
  for (const SafetensorsEntry& entry : weights.entries()) EXPECT_THAT(entry.name, HasSubstr("lora_"));
}

TEST_F(TrainVerbTest, ContrastsWithWhatWasMined) {
  write_mined(at("mined.h5"), 10);
  const std::vector<std::string> short_run = {"train.steps=3", "run_dir=" + at("plain").string()};
  ASSERT_EQ(train(short_run).exit_code, 0);
  const ProgramResult ran = train({"train.steps=3", "mined.file=" + at("mined.h5").string(), "data.hard_negatives=2"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("10 queries with negatives of"));
  EXPECT_THAT(ran.err, HasSubstr("2 without any mined"));
  EXPECT_NE(read_text_file(at("run/metrics.jsonl")), read_text_file(at("plain/metrics.jsonl")));

  fs::remove_all(at("run"));
  const std::string file = "mined.file=" + at("mined.h5").string();
  expect_refused(train({file}), 2, {"mined", "data.hard_negatives of at least 1"});
  expect_refused(train({file, "data.hard_negatives=5"}), 3, {"lower data.hard_negatives"});
  expect_refused(train({file, "data.hard_negatives=2", "mined.retriever=" + at("model").string()}), 3,
                 {"must be mined with mined.retriever", "mined.allow_stale"});
  EXPECT_FALSE(fs::exists(at("run")));
}

TEST_F(TrainVerbTest, KilledTwiceAndGoneOnWithEndsInTheBitsOfAnUnbrokenRun) {
  for (const int ranks : {1, 2}) {
    const fs::path unbroken = at(fmt::format("unbroken_{}", ranks)), broken = at(fmt::format("broken_{}", ranks));
    ASSERT_EQ(train({"run_dir=" + unbroken.string()}, ranks).exit_code, 0);
    for (const int lines : {3, 8}) {
      const ProgramResult killed = train_and_kill(broken, lines, ranks);
      EXPECT_NE(killed.exit_code, 0) << killed.err;
      ASSERT_FALSE(fs::exists(broken / "checkpoints/step_000060")) << "it was to be killed before its end";
    }
    const ProgramResult last = train({"run_dir=" + broken.string()}, ranks);
    ASSERT_EQ(last.exit_code, 0) << last.err;
    EXPECT_THAT(last.err, HasSubstr("going on from step"));
    expect_same_run(unbroken, broken);
  }
}

TEST_F(TrainVerbTest, StopsAtASignalWithACheckpointAndGoesOn) {
  ASSERT_EQ(train({fmt::format("run_dir={}", at("unbroken").string())}).exit_code, 0);
  std::string quoted;
  for (const std::string& word : command(1, {})) quoted += "'" + word + "' ";
  const ProgramResult stopped = run_program(
      {"/bin/bash", "-c",
       fmt::format("{} & pid=$!; while kill -0 $pid && [ $(cat {}/metrics.jsonl 2>/dev/null | wc -l) -lt 2 ]; do sleep "
                   "0.005; done; kill -USR1 $pid; wait $pid",
                   quoted, at("run").string())},
      kEnvironment);
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on from there"));
  ASSERT_EQ(train().exit_code, 0);
  expect_same_run(at("unbroken"), at("run"));
}

TEST_F(TrainVerbTest, OtherNumbersOfRanksSeeTheSameBatches) {
  ASSERT_EQ(train({"run_dir=" + at("one").string()}, 1).exit_code, 0);
  ASSERT_EQ(train({"run_dir=" + at("two").string()}, 2).exit_code, 0);
  const SafetensorsFile one(at("one/checkpoints/step_000060/weights.safetensors"));
  const SafetensorsFile two(at("two/checkpoints/step_000060/weights.safetensors"));
  double difference = 0;
  for (const SafetensorsEntry& entry : one.entries()) {
    difference =
        std::max(difference, (one.tensor(entry) - two.tensor(*two.find(entry.name))).abs().max().item<double>());
  }
  EXPECT_LT(difference, 1e-5);
}

TEST_F(TrainVerbTest, ANonFiniteGradientEndsTheRunWithEvidence) {
  const ProgramResult ran = train({"optim.peak_lr=1e30", "optim.clip_norm=null"});
  expect_refused(ran, 6, {"must be finite", "diverged.json"});
  EXPECT_THAT(read_text_file(at("run/diverged.json")), AllOf(HasSubstr("\"step\""), HasSubstr("20:")));
}

TEST_F(TrainVerbTest, RefusesWhatCannotBeMeant) {
  const std::vector<std::tuple<std::vector<std::string>, int, std::vector<std::string>>> cases = {
      {{"loss.temperature=0"}, 2, {"loss.temperature"}},
      {{"schedule.kind=cosin"}, 2, {"schedule.kind", "cosine"}},
      {{"schedule.warmup_steps=100"}, 2, {"warm", "60"}},
      {{"optim.peek_lr=1"}, 2, {"optim.peek_lr", "peak_lr"}},
      {{"lora.target_modules=[nothing_like_it]"}, 2, {"nothing_like_it"}},
      {{"data.sampler.pairs_global=13"}, 2, {"13"}},
      {{"recipe=lamra"}, 2, {"recipe", "lamra_ret"}},
      {{"model.path=" + at("absent").string()}, 3, {"absent"}},
      {{"train.epochs=1"}, 2, {"train.steps"}},
      {{"--device", "cuda"}, 2, {"[device] --device cuda needs"}},  // a GPU, or a program built for one
  };
  for (const auto& [overrides, exit_code, parts] : cases) {
    expect_refused(train(overrides), exit_code, parts);
    EXPECT_FALSE(fs::exists(at("run"))) << overrides.front();
  }
}

TEST_F(TrainVerbTest, HelpTellsTheKeysOfItsFile) {
  const ProgramResult help = run_program({TRIREME_BINARY, "train", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* part : {"--device auto|cpu|cuda", "Keys of CONFIG", "pairs_global", "validation:", "best_metric",
                           "spike_z", "resume:"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
}

TEST_F(TrainVerbTest, RefusesAShareThatDoesNotDivide) {
  expect_refused(train({"data.sampler.pairs_global=3"}, 2), 2, {"3", "2"});
}

TEST_F(TrainVerbTest, RefusesToGoOnWithAnotherConfigUntilItIsAllowed) {
  ASSERT_EQ(train({"train.steps=10"}).exit_code, 0);
  expect_refused(train({}), 2, {"train.steps", "resume.allow"});
  EXPECT_EQ(train({"resume.allow=[train.steps]"}).exit_code, 0);
}

TEST_F(TrainVerbTest, SkipsACheckpointWithAFlippedByteAndSaysSo) {
  ASSERT_EQ(train({"train.steps=20", "checkpoint.keep_last=9"}).exit_code, 0);
  const fs::path file = at("run/checkpoints/step_000020/weights.safetensors");
  std::string bytes = read_text_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
  const ProgramResult ran = train({"resume.allow=[train.steps]"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("step_000020"), HasSubstr("going on from step 14")));
}

}  // namespace
}  // namespace trireme
