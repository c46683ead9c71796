// What `trireme train` refuses, it refuses before it reads weights or takes the memory for them.
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/json.h"
#include "tests/launch/toy_run.h"
#include "tests/support/toy_benchmark.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int64_t kVocabulary = 8'000'000;  // times 32 values of 4 bytes: 1 GiB
constexpr long kWeightsKib = 1'000'000;

/// The toy run from a base whose token embedding alone takes a gigabyte: a process that stayed far below has neither
/// drawn nor read it.
class EarlyRefusal : public ToyRun {
 protected:
  EarlyRefusal() { set_vocabulary(kVocabulary); }

  void set_vocabulary(int64_t tokens) const {
    auto config = parse_ordered_json(read_text_file(at("model/config.json")));
    config["vocab_size"] = tokens;
    folder_.write("model/config.json", dump_json(config));
  }

  void expect_early(const std::vector<std::string>& more, int exit_code, const std::vector<std::string>& parts,
                    int ranks = 1) const {
    std::vector<std::string> overrides = {"model.init=random"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    const ProgramResult ran = train(overrides, ranks);
    expect_refused(ran, exit_code, parts);
    EXPECT_LT(ran.peak_rss_kib, kWeightsKib) << more.front();
  }

  const ToyBenchmark benchmark_;
};

TEST_F(EarlyRefusal, WhatConfigAndFilesSay) {
  folder_.write("broken/adapter_config.json", "{");
  const std::string split = "validation.benchmark.split=test";
  const std::string root = "validation.benchmark.root=" + benchmark_.root().string();
  const std::vector<std::tuple<std::vector<std::string>, int, std::vector<std::string>>> cases = {
      {{"schedule.warmup_steps=100"}, 2, {"schedule.warmup_steps", "60", "100"}},
      {{"schedule.warmup_steps=100", "train.steps=null", "train.epochs=20"}, 2, {"warm-up", "100 and 60"}},
      {{"optim.lr_factors={model.layers.7: 2}"}, 2, {"lr_factors", "model.layers.7"}},
      {{"lora.target_modules=[nothing_like_it]"}, 2, {"target_modules", "nothing_like_it"}},
      {{"lora.exclude_modules=[absent]"}, 2, {"exclude_modules", "absent"}},
      {{"lora.target_modules=[lm_head]"}, 2, {"tied to the embedding"}},
      {{"trainable.parts=named", "trainable.names=[none_such]"}, 2, {"trainable", "none_such"}},
      {{"trainable.parts=named", "trainable.names=[q_proj.weight]"}, 2, {"train together"}},
      {{"loss.matryoshka_dims=[64]"}, 2, {"matryoshka_dims", "32", "64"}},
      {{"data.sampler.pairs_global=13"}, 2, {"13"}},
      {{"data.sampler.pairs_global=1"}, 2, {"data.sampler.pairs_global", "at least 2"}},
      {{"data.min_pixels=100000000"}, 2, {"pixels"}},
      {{"data.root=" + at("absent").string()}, 3, {"absent"}},
      {{"data.image_root=" + at("absent").string()}, 3, {"data.image_root", "absent"}},
      {{root, split, "validation.best_metric=recall@7"}, 2, {"best_metric", "recall@7"}},
      {{root, "validation.benchmark.split=val"}, 2, {"split val"}},
      {{"validation.benchmark.root=" + at("absent").string(), split}, 3, {"absent"}},
      {{root, split, "validation.benchmark.image_root=" + at("absent").string()}, 3, {"absent"}},
      {{"mined.file=" + at("absent.h5").string(), "data.hard_negatives=1"}, 3, {"absent.h5"}},
  };
  for (const auto& [overrides, exit_code, parts] : cases) {
    expect_early(overrides, exit_code, parts);
    EXPECT_FALSE(fs::exists(at("run"))) << overrides.front();
  }
}

TEST_F(EarlyRefusal, PicturesForATextOnlyModel) {
  auto config = parse_ordered_json(read_text_file(at("model/config.json")));
  config["model_type"] = "qwen2";
  config["architectures"] = {"Qwen2ForCausalLM"};
  for (const char* key : {"vision_config", "rope_scaling"}) config.erase(key);
  folder_.write("model/config.json", dump_json(config));
  expect_early({"seed=3"}, 3, {"queries.jsonl", "a text-only model takes pairs without images"});
}

TEST_F(EarlyRefusal, RanksThatDoNotDivideTheBatch) {
  expect_early({"data.sampler.pairs_global=3"}, 2, {"3 pairs and 2 ranks"}, 2);
  EXPECT_FALSE(fs::exists(at("run")));
}

TEST_F(EarlyRefusal, APreprocessorOfAnotherCheckpoint) {
  auto settings = parse_json(read_text_file(at("model/preprocessor_config.json")));
  settings["patch_size"] = 16;
  folder_.write("model/preprocessor_config.json", dump_json(settings));
  expect_early({"seed=3"}, 3, {"preprocessor_config.json"});
}

TEST_F(EarlyRefusal, ARunDirectoryThatIsNotThisRuns) {
  folder_.write("other/notes.txt", "mine");
  expect_early({"run_dir=" + at("other").string()}, 2, {"must be empty or hold a run", "notes.txt"});
  expect_early({"run_dir=" + at("other/notes.txt").string()}, 3, {"notes.txt"});
  expect_early({"run_dir=" + at("other/notes.txt/run").string()}, 3, {"notes.txt/run"});

  set_vocabulary(324);
  ASSERT_EQ(train({"model.init=random", "train.steps=10"}).exit_code, 0);
  set_vocabulary(kVocabulary);
  expect_early({"train.steps=12"}, 2, {"train.steps", "resume.allow"});
  expect_early({"train.steps=10", "resume.allow=[train.stops]"}, 2, {"train.stops"});
  fs::remove_all(at("run/checkpoints"));
  expect_early({"train.steps=12"}, 2, {"train.steps", "resume.allow"});
  std::string config = read_text_file(at("run/config.yaml"));
  config.replace(config.find("lamra_ret"), 9, "grip");
  folder_.write("run/config.yaml", config);
  expect_early({"train.steps=10"}, 2, {"recipe lamra_ret", "recipe grip"});
}

TEST_F(EarlyRefusal, ARunDirectoryInUse) {
  set_vocabulary(324);
  const ProgramResult second = script(at("run"), 1,
                                      R"((train 2>/dev/null) & first=$!
while kill -0 $first && [ $(cat $run/metrics.jsonl 2>/dev/null | wc -l) -lt 1 ]; do sleep 0.005; done
sed -i 's/"vocab_size": *324/"vocab_size": 8000000/' )" +
                                          at("model/config.json").string() + R"(
(train); code=$?
kill -KILL $first
exit $code)",
                                      {"model.init=random", "train.steps=100000"});
  expect_refused(second, 3, {"one run at a time", "process "});
  EXPECT_LT(second.peak_rss_kib, kWeightsKib);
}

/// A run that only an older checkpoint allows to go on, should the newest be damaged, is not refused by its config.
TEST_F(EarlyRefusal, NotARunThatGoesOnFromAnOlderCheckpoint) {
  set_vocabulary(324);
  const std::string slow = "optim.peak_lr=0.001";
  ASSERT_EQ(train({"model.init=random", "train.steps=7"}).exit_code, 0);
  ASSERT_EQ(train({"model.init=random", "train.steps=14", slow, "resume.allow=[train.steps, optim.peak_lr]"}).exit_code,
            0);
  folder_.write("run/checkpoints/step_000014/weights.safetensors", "damaged");
  const ProgramResult ran = train({"model.init=random", "train.steps=7"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("step_000014"));
}

}  // namespace
}  // namespace trireme::test
