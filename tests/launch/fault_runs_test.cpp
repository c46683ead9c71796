// What `trireme train` does when the world around it breaks, and what it says.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/tensor.h"
#include "tests/launch/toy_run.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

using FaultRun = ToyRun;

TEST_F(FaultRun, ARankThatIsKilledIsNamedAndTheOthersEndAtOnce) {
  const ProgramResult killed = train_and_kill(at("run"), 5, 2);
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
  EXPECT_EQ(lines_of(at("run/metrics.jsonl")), 60);
}

TEST_F(FaultRun, NanInTheWeightsEndsTheRunWithEvidence) {
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
  const ProgramResult ran = train();
  expect_refused(ran, 6, {"step 0", "the loss must be finite", "got nan", "diverged.json", "no checkpoint"});
  const auto evidence = nlohmann::json::parse(read_text_file(at("run/diverged.json")));
  EXPECT_EQ(evidence.at("loss"), "nan");
  EXPECT_EQ(evidence.at("query_ids_of_rank_0").size(), 4u);
}

TEST_F(FaultRun, ADivergedRunNamesItsLastGoodCheckpoint) {
  ASSERT_EQ(train({"train.steps=14", "schedule.kind=constant"}).exit_code, 0);
  const ProgramResult ran = train({"optim.peak_lr=1e30", "optim.clip_norm=null", "schedule.kind=constant",
                                   "resume.allow=[train.steps, optim.peak_lr, optim.clip_norm]"});
  expect_refused(ran, 6, {"must be finite", "diverged.json", "checkpoints/step_000014"});
  EXPECT_THAT(nlohmann::json::parse(read_text_file(at("run/diverged.json"))).at("checkpoint").get<std::string>(),
              HasSubstr("step_000014"));
}

TEST_F(FaultRun, TwoRunsInOneDirectoryAtOnceAreRefused) {
  const ProgramResult second = script(at("run"), 1, R"((train 2>/dev/null) & first=$!
while kill -0 $first && [ $(cat $run/metrics.jsonl 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.005; done
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
  expect_refused(train({"data.sampler.pairs_global=1"}, 2), 2, {"pairs_global", "1 pairs and 2 ranks"});
  EXPECT_FALSE(fs::exists(at("run")));
}

TEST_F(FaultRun, APreprocessorOfAnotherCheckpointIsRefused) {
  const fs::path file = at("model/preprocessor_config.json");
  auto settings = nlohmann::json::parse(read_text_file(file));
  settings["patch_size"] = 16;
  folder_.write("model/preprocessor_config.json", settings.dump());
  expect_refused(train(), 3, {"preprocessor_config.json", "vision_config", "got 16, 2, 2 and 14, 2, 2"});
}

}  // namespace
}  // namespace trireme::test
