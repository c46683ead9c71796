// What `trireme train` does when the world around it breaks, and what it says.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "core/tensor.h"
#include "tests/launch/toy_run.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class FaultRun : public ToyRun {
 protected:
  /// Every loss is NaN from the first step on.
  void put_nan_into_the_model() const {
    const fs::path file = at("model/model.safetensors");
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    {
      const SafetensorsFile weights(file);
      for (const SafetensorsEntry& entry : weights.entries()) {
        tensors.emplace_back(entry.name, weights.tensor(entry).clone());
        if (entry.name.find("layers.0.mlp.down_proj") != std::string::npos) tensors.back().second.fill_(std::nan(""));
      }
    }
    write_safetensors(file, tensors);
  }

  nlohmann::json evidence(const fs::path& run) const { return parse_json(read_text_file(run / "diverged.json")); }
};

/// Settings under which the first updates leave all numbers.
const std::vector<std::string> kTooFast = {"optim.clip_norm=null", "schedule.kind=constant", "schedule.warmup_steps=0"};

std::vector<std::string> too_fast(std::vector<std::string> more) {
  more.insert(more.end(), kTooFast.begin(), kTooFast.end());
  return more;
}

TEST_F(FaultRun, ARankThatIsKilledIsNamedAndTheOthersEndAtOnce) {
  const ProgramResult killed = train_and_kill(at("run"), 2, 2);
  EXPECT_EQ(killed.exit_code, 128 + 9) << "mpirun leaves with the signal that ended the rank";
  EXPECT_EQ(killed.error_lines(), 1) << killed.err;
  EXPECT_THAT(killed.err,
              ContainsRegex("error: rank 0/2 \\[dist\\] every rank must live until the job ends; got rank 1 "
                            "gone .* while rank 0 waited in \\[[0-9]+\\] (all|reduce|barrier|broadcast)"));
  EXPECT_LT(killed.wall_s, 20) << "well before the timeout";
  EXPECT_EQ(train({"run_dir=" + at("run").string()}, 2).exit_code, 0) << "and goes on";
}

TEST_F(FaultRun, AFullDiskLeavesTheOldCheckpointAndARunThatGoesOn) {
  // Optimiser state above the largest file that the process may write; the curves stay far below.
  const std::vector<std::string> large = {"lora.rank=64"};
  ASSERT_EQ(train({"run_dir=" + at("run").string(), large[0], "train.steps=14", "schedule.kind=constant"}).exit_code,
            0);
  const fs::path newest = at("run/checkpoints/step_000014");
  const std::string weights = read_text_file(newest / "weights.safetensors");
  ASSERT_GT(fs::file_size(newest / "optimizer.safetensors"), 200u << 10);
  const ProgramResult full =
      script(at("run"), 1, "ulimit -f 100; train",
             {large[0], "train.steps=60", "schedule.kind=constant", "resume.allow=[train.steps]"});
  expect_refused(full, 3, {"step_000021", "File too large"});
  EXPECT_EQ(read_text_file(newest / "weights.safetensors"), weights);
  for (const auto& entry : fs::directory_iterator(at("run/checkpoints"))) {
    EXPECT_THAT(entry.path().filename().string(), HasSubstr("step_0000")) << "nothing half written is left";
    EXPECT_NE(entry.path().filename(), "step_000021");
  }
  const ProgramResult again = train({"run_dir=" + at("run").string(), large[0], "train.steps=60",
                                     "schedule.kind=constant", "resume.allow=[train.steps]"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("going on from step 14"));
  EXPECT_EQ(lines_of(at("run/metrics.jsonl")), 16) << "the first part has one of its last step, 14, beside every 4th";
}

TEST_F(FaultRun, NanInTheWeightsEndsTheRunWithEvidence) {
  put_nan_into_the_model();
  const ProgramResult ran = train();
  expect_refused(ran, 6, {"step 0", "the loss must be finite", "got nan", "diverged.json", "no checkpoint"});
  const auto evidence = parse_json(read_text_file(at("run/diverged.json")));
  EXPECT_EQ(evidence.at("loss"), "nan");
  EXPECT_EQ(evidence.at("query_ids_of_rank_0").size(), 4u);
}

TEST_F(FaultRun, NanBetweenTwoLinesEndsTheRunBeforeTheNextCheckpoint) {
  put_nan_into_the_model();
  for (const int ranks : {1, 2}) {
    const fs::path run = at(fmt::format("run_{}", ranks));
    const ProgramResult ran = train({"run_dir=" + run.string(), "train.log_every_steps=50"}, ranks);
    expect_refused(ran, 6, {"[step 0]", "the loss must be finite; got nan", "diverged.json", "no checkpoint"});
    EXPECT_EQ(evidence(run).at("step"), 0);
    EXPECT_TRUE(fs::is_empty(run / "checkpoints")) << "nothing is kept of it";
  }
}

TEST_F(FaultRun, NanBetweenTwoLinesIsNoOrderlyStop) {
  put_nan_into_the_model();
  const ProgramResult ran =
      script(at("run"), 1, R"(train & pid=$!
while kill -0 $pid && [ ! -e $run/trainable.json ]; do sleep 0.005; done
kill -TERM $pid
wait $pid)",
             {"train.steps=1000000", "train.log_every_steps=1000000", "checkpoint.every_steps=1000000"});
  expect_refused(ran, 6, {"[step 0]", "the loss must be finite; got nan", "diverged.json"});
  EXPECT_EQ(evidence(at("run")).at("query_ids_of_rank_0").size(), 4u);
  EXPECT_TRUE(fs::is_empty(at("run/checkpoints"))) << "nothing is kept of it";
}

TEST_F(FaultRun, TheStepThatIsNamedDoesNotDependOnTheLines) {
  std::vector<nlohmann::json> found;
  for (const int every : {1, 4, 50}) {
    const fs::path run = at(fmt::format("every_{}", every));
    const ProgramResult ran = train(
        too_fast({"run_dir=" + run.string(), "optim.peak_lr=1e38", fmt::format("train.log_every_steps={}", every)}));
    expect_refused(ran, 6, {"must be finite", "diverged.json"});
    found.push_back(evidence(run));
    found.back().erase("checkpoint");
  }
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], found[0]);

  found.clear();
  for (const int every : {1, 50}) {
    const fs::path run = at(fmt::format("collapsed_{}", every));
    const ProgramResult ran = train({"run_dir=" + run.string(), "guard.collapse_cosine=0", "guard.collapse_steps=10",
                                     fmt::format("train.log_every_steps={}", every)});
    expect_refused(ran, 6, {"[step 9]", "above 0 for 10 steps", "diverged.json"});
    found.push_back(evidence(run));
    EXPECT_EQ(found.back().at("checkpoint"), (run / "checkpoints/step_000007").string());
  }
}

TEST_F(FaultRun, WeightsThatTheLastUpdateMadeInfiniteAreNotKept) {
  const ProgramResult ran = train(too_fast({"train.steps=1", "optim.peak_lr=1e39"}));
  expect_refused(ran, 6, {"[step 0]", "the weights must be finite", "lora_", "diverged.json"});
  EXPECT_TRUE(fs::is_empty(at("run/checkpoints")));
}

TEST_F(FaultRun, ADivergedRunNamesItsLastGoodCheckpoint) {
  ASSERT_EQ(train({"train.steps=14", "schedule.kind=constant"}).exit_code, 0);
  const ProgramResult ran = train({"optim.peak_lr=1e30", "optim.clip_norm=null", "schedule.kind=constant",
                                   "resume.allow=[train.steps, optim.peak_lr, optim.clip_norm]"});
  expect_refused(ran, 6, {"must be finite", "diverged.json", "checkpoints/step_000014"});
  EXPECT_THAT(parse_json(read_text_file(at("run/diverged.json"))).at("checkpoint").get<std::string>(),
              HasSubstr("step_000014"));
}

TEST_F(FaultRun, TwoRunsInOneDirectoryAtOnceAreRefused) {
  const ProgramResult second = script(at("run"), 1, R"((train 2>/dev/null) & first=$!
while kill -0 $first && [ $(cat $run/metrics.jsonl 2>/dev/null | wc -l) -lt 1 ]; do sleep 0.005; done
(train); code=$?
kill -KILL $first
exit $code)",
                                      {"train.steps=100000"});
  expect_refused(second, 3, {"one run at a time", "process "});
}

TEST_F(FaultRun, ARunDirectoryOfAnotherRecipeIsRefused) {
  ASSERT_EQ(train({"train.steps=3"}).exit_code, 0);
  fs::remove_all(at("run/checkpoints"));
  std::string config = read_text_file(at("run/config.yaml"));
  config.replace(config.find("lamra_ret"), 9, "grip");
  folder_.write("run/config.yaml", config);
  expect_refused(train({"train.steps=3"}), 2, {"recipe lamra_ret", "recipe grip", "another run directory"});
}

TEST_F(FaultRun, ABatchSmallerThanTheRanksIsRefused) {
  expect_refused(train({"data.sampler.pairs_global=1", "data.hard_negatives=1"}, 2), 2,
                 {"pairs_global", "1 pairs and 2 ranks"});
  EXPECT_FALSE(fs::exists(at("run")));
}

TEST_F(FaultRun, APreprocessorOfAnotherCheckpointIsRefused) {
  const fs::path file = at("model/preprocessor_config.json");
  auto settings = parse_json(read_text_file(file));
  settings["patch_size"] = 16;
  folder_.write("model/preprocessor_config.json", dump_json(settings));
  expect_refused(train(), 3, {"preprocessor_config.json", "vision_config", "got 16, 2, 2 and 14, 2, 2"});
}

}  // namespace
}  // namespace trireme::test
