#include <algorithm>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "tests/launch/toy_run.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::lines_of;
using test::ProgramResult;
using test::replaced;
using test::run_program;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kConfig = R"(recipe: lamra_rank
run_dir: {root}/run
seed: 3
model: {path: {root}/rank_model, init: random}
lora: {rank: 2, alpha: 4, dropout: 0.1}
trainable: {parts: lora}
data:
  root: {root}
  image_root: {root}/images
  sources:
    - kind: mbeir
      files: [queries.jsonl]
      pool: pool.jsonl
      instructions: instructions.tsv
  sampler: {pairs_global: 4}
  max_pixels: 3136
mined: {file: {root}/hard_negatives.h5}
step: {micro_batch_tokens: 1500}
optim: {peak_lr: 0.01}
train: {steps: 60, log_every_steps: 4}
checkpoint: {every_steps: 7}
)";

/// The toy run's pairs with mined negatives, and a model whose tokenizer has the answers.
class RankVerbTest : public test::ToyRun {
 protected:
  RankVerbTest() {
    fs::copy(at("model"), at("rank_model"));
    fs::remove(at("rank_model/model.safetensors"));
    fs::copy_file(fs::path(TRIREME_TEST_DIR) / "golden/prompt/rerank_tokenizer.json", at("rank_model/tokenizer.json"),
                  fs::copy_options::overwrite_existing);
    std::string config = read_text_file(at("rank_model/config.json"));
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"\"vocab_size\": 324", "\"vocab_size\": 448"},
             {"\"vision_start_token_id\": 319", "\"vision_start_token_id\": 415"},
             {"\"vision_end_token_id\": 320", "\"vision_end_token_id\": 416"},
             {"\"vision_token_id\": 321", "\"vision_token_id\": 417"},
             {"\"image_token_id\": 322", "\"image_token_id\": 418"},
             {"\"video_token_id\": 323", "\"video_token_id\": 419"}}) {
      EXPECT_THAT(config, HasSubstr(from));
      config = replaced(config, from, to);
    }
    folder_.write("rank_model/config.json", config);
    write_mined(at("hard_negatives.h5"), 12);
    folder_.write("config.yaml", replaced(kConfig, "{root}", folder_.path().string()));
  }
};

TEST_F(RankVerbTest, LearnsTwiceKilledToTheBitsOfAnUnbrokenRun) {
  for (const int ranks : {1, 2}) {
    const fs::path unbroken = at(fmt::format("unbroken_{}", ranks)), broken = at(fmt::format("broken_{}", ranks));
    const ProgramResult whole = train({"run_dir=" + unbroken.string()}, ranks);
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    for (const int lines : {3, 8}) {
      const ProgramResult killed = train_and_kill(broken, lines, ranks);
      EXPECT_NE(killed.exit_code, 0) << killed.err;
      ASSERT_FALSE(fs::exists(broken / "checkpoints/step_000060")) << "it was to be killed before its end";
    }
    const ProgramResult last = train({"run_dir=" + broken.string()}, ranks);
    ASSERT_EQ(last.exit_code, 0) << last.err;
    EXPECT_THAT(last.err, HasSubstr("going on from step"));
    expect_same_run(unbroken, broken);
    EXPECT_EQ(lines_of(unbroken / "metrics.jsonl"), 15);
    EXPECT_THAT(read_text_file(unbroken / "metrics.jsonl"), HasSubstr("train/listwise_accuracy"));
  }
  const SafetensorsFile one(at("unbroken_1/checkpoints/step_000060/weights.safetensors"));
  const SafetensorsFile two(at("unbroken_2/checkpoints/step_000060/weights.safetensors"));
  double difference = 0, size = 0;
  for (const SafetensorsEntry& entry : one.entries()) {
    const torch::Tensor a = one.tensor(entry), b = two.tensor(*two.find(entry.name));
    size = std::max(size, a.abs().max().item<double>());
    difference = std::max(difference, (a - b).abs().max().item<double>());
  }
  EXPECT_LT(difference, 1e-4 * size) << "other numbers of ranks see the same batches";
}

TEST_F(RankVerbTest, ExportsWhatItHasTrained) {
  ASSERT_EQ(train({"train.steps=20"}).exit_code, 0);
  const ProgramResult ran = run_program(
      {TRIREME_BINARY, "export", "--run", at("run"), "--format", "adapter,merged", "--threads", "1"}, kEnvironment);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const SafetensorsFile adapter(at("run/export/adapter/adapter_model.safetensors"));
  for (const SafetensorsEntry& entry : adapter.entries()) EXPECT_THAT(entry.name, HasSubstr("lora_"));
  EXPECT_TRUE(fs::exists(at("run/export/merged/model.safetensors")));
}

TEST_F(RankVerbTest, IsMeasuredAsItTrains) {
  const auto bench = [&](const std::string& what) {
    return run_program({TRIREME_BINARY, "bench", what, at("config.yaml"), "--steps", "2", "--threads", "1"},
                       kEnvironment);
  };
  const ProgramResult step = bench("step");
  ASSERT_EQ(step.exit_code, 0) << step.err;
  EXPECT_THAT(step.out, StartsWith(R"({"bench":"step","recipe":"lamra_rank",)"));
  EXPECT_THAT(step.out, HasSubstr(R"("queries_global":4,)"));
  const ProgramResult loader = bench("loader");
  ASSERT_EQ(loader.exit_code, 0) << loader.err;
  EXPECT_THAT(loader.out, StartsWith(R"({"bench":"loader","recipe":"lamra_rank",)"));
  EXPECT_THAT(loader.out, HasSubstr(R"("pairs":8,"records":24,)")) << "three sequences a query";
  EXPECT_FALSE(fs::exists(at("run"))) << "no run directory";
}

TEST_F(RankVerbTest, EndsWithEvidenceWhenItLeavesTheNumbersBetweenTwoLines) {
  const auto too_fast = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"optim.clip_norm=null", "schedule.kind=constant", "schedule.warmup_steps=0",
                             "train.log_every_steps=50"});
    return more;
  };
  expect_refused(train(too_fast({"optim.peak_lr=1e38"})), 6, {"must be finite", "diverged.json"});
  fs::remove_all(at("run"));
  expect_refused(train(too_fast({"optim.peak_lr=1e39", "train.steps=1"})), 6,
                 {"[step 0]", "the weights must be finite", "diverged.json"});
}

TEST_F(RankVerbTest, RefusesWhatCannotBeMeant) {
  const std::vector<std::tuple<std::vector<std::string>, int, std::vector<std::string>>> cases = {
      {{"mined.file=" + at("absent.h5").string()}, 3, {"absent.h5"}},
      {{"model.path=" + at("model").string()}, 3, {"\"Yes\" must be one token"}},
      {{"mined.retriever=" + at("model").string()}, 3, {"must be mined with mined.retriever", "allow_stale"}},
      {{"mined.retriever_adapter=" + at("adapter").string()}, 2, {"mined.retriever_adapter"}},
      {{"data.prompt=bare"}, 2, {"data.prompt"}},
      {{"data.hard_negatives=1"}, 2, {"data.hard_negatives"}},
      {{"samples.list_negatives=papre"}, 2, {"samples.list_negatives", "paper"}},
      {{"loss.temperature=1"}, 2, {"loss.temperature"}},
  };
  for (const auto& [overrides, exit_code, parts] : cases) {
    expect_refused(train(overrides), exit_code, parts);
    EXPECT_FALSE(fs::exists(at("run"))) << overrides.front();
  }
  EXPECT_EQ(train({"mined.retriever=" + at("model").string(), "mined.allow_stale=true", "train.steps=1"}).exit_code, 0);
}

}  // namespace
}  // namespace trireme
