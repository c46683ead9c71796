#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using test::run_program;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

constexpr const char* kConfig = R"(recipe: lamra_ret
run_dir: {root}/run
seed: 3
model: {path: {root}/model}
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
loss: {exclude: [same_concept]}
optim: {peak_lr: 0.01}
train: {steps: 60, log_every_steps: 1}
checkpoint: {every_steps: 7}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// A checkpoint of a few thousand weights and twelve pairs, texts beside pictures, and a run of sixty steps on them.
class TrainVerbTest : public ::testing::Test {
 protected:
  TrainVerbTest() {
    fs::copy(kGolden, folder_.path(), fs::copy_options::recursive);
    std::string queries, pool;
    const char* pictures[] = {"gradient.png", "small.png", "wide.png"};
    for (int i = 0; i < 12; ++i) {
      const bool to_picture = i % 2 == 0;
      queries += fmt::format(R"({{"qid": "20:{0}", "query_txt": "apple {0}", "query_img_path": null, )"
                             R"("query_modality": "text", "task_id": {1}, "pos_cand_list": ["20:{0}"], )"
                             R"("neg_cand_list": []}})"
                             "\n",
                             i, to_picture ? 0 : 1);
      pool += to_picture ? fmt::format(R"({{"did": "20:{}", "txt": null, "img_path": "{}", "modality": "image"}})", i,
                                       pictures[i % 3])
                         : fmt::format(R"({{"did": "20:{}", "txt": "pear {} and plum", "img_path": null, )"
                                       R"("modality": "text"}})",
                                       i, i * i);
      pool += "\n";
    }
    folder_.write("queries.jsonl", queries);
    folder_.write("pool.jsonl", pool);
    folder_.write("instructions.tsv",
                  "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
                  "text\timage\tfruit\t20\tFind the picture.\tShow it.\n"
                  "text\ttext\tfruit\t20\tFind the other fruit.\tName it.\n");
    write_config("config.yaml", {});
  }

  fs::path at(const fs::path& name) const { return folder_.path() / name; }

  void write_config(const fs::path& name, const std::vector<std::pair<std::string, std::string>>& changes) const {
    std::string text = replaced(kConfig, "{root}", folder_.path().string());
    for (const auto& [from, to] : changes) {
      ASSERT_NE(text.find(from), std::string::npos) << from;
      text = replaced(text, from, to);
    }
    folder_.write(name, text);
  }

  std::vector<std::string> command(int ranks, std::vector<std::string> more) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "train", at("config.yaml")};
    argv.insert(argv.end(), more.begin(), more.end());
    argv.insert(argv.end(), {"--threads", "1", "--timeout-s", "20"});
    return ranks > 1 ? test::under_mpirun(TRIREME_MPIEXEC, ranks, argv) : argv;
  }

  ProgramResult train(std::vector<std::string> more = {}, int ranks = 1) const {
    return run_program(command(ranks, std::move(more)), kEnvironment);
  }

  /// Trains until the run's metrics.jsonl has `lines` lines, and then kills one process of it.
  ProgramResult train_and_kill(const fs::path& run, int lines, int ranks) const {
    std::string quoted;
    for (const std::string& word : command(ranks, {"run_dir=" + run.string()})) quoted += "'" + word + "' ";
    const std::string script = fmt::format(
        "{0} & launcher=$!\n"
        "while kill -0 $launcher 2>/dev/null && [ $(cat {1}/metrics.jsonl 2>/dev/null | wc -l) -lt {2} ]; do\n"
        "  sleep 0.005\n"
        "done\n"
        "pkill -KILL -n -f 'trireme train .*run_dir={1}'\n"
        "wait $launcher",
        quoted, run.string(), lines);
    return run_program({"/bin/bash", "-c", script}, kEnvironment);
  }

  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_THAT(ran.last_error_line(), StartsWith("error: "));
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
  }

  std::string final_file(const fs::path& run, const std::string& name) const {
    return read_text_file(run / "checkpoints/step_000060" / name);
  }

  void expect_same_run(const fs::path& a, const fs::path& b) const {
    for (const char* name : {"weights.safetensors", "optimizer.safetensors"}) {
      EXPECT_TRUE(final_file(a, name) == final_file(b, name)) << name;
    }
    EXPECT_EQ(read_text_file(a / "metrics.jsonl"), read_text_file(b / "metrics.jsonl"));
  }

  const std::vector<std::string> kEnvironment = test::mpirun_environment();
  TempFolder folder_;
};

int64_t lines_of(const fs::path& path) {
  const std::string text = read_text_file(path);
  return std::count(text.begin(), text.end(), '\n');
}

TEST_F(TrainVerbTest, LearnsAndLeavesACompleteRunDirectory) {
  const ProgramResult ran = train();
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* name : {"config.yaml", "environment.json", "trainable.json", "metrics.jsonl"}) {
    EXPECT_TRUE(fs::exists(at("run") / name)) << name;
  }
  EXPECT_EQ(lines_of(at("run/metrics.jsonl")), 60);
  const SafetensorsFile weights(at("run/checkpoints/step_000060/weights.safetensors"));
  for (const SafetensorsEntry& entry : weights.entries()) EXPECT_THAT(entry.name, HasSubstr("lora_"));
}

TEST_F(TrainVerbTest, KilledTwiceAndGoneOnWithEndsInTheBitsOfAnUnbrokenRun) {
  for (const int ranks : {1, 2}) {
    const fs::path unbroken = at(fmt::format("unbroken_{}", ranks)), broken = at(fmt::format("broken_{}", ranks));
    ASSERT_EQ(train({"run_dir=" + unbroken.string()}, ranks).exit_code, 0);
    for (const int lines : {11, 33}) {
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
       fmt::format("{} & pid=$!; while kill -0 $pid && [ $(cat {}/metrics.jsonl 2>/dev/null | wc -l) -lt 9 ]; do sleep "
                   "0.005; done; kill -USR1 $pid; wait $pid",
                   quoted, at("run").string())},
      kEnvironment);
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on from there"));
  ASSERT_EQ(train().exit_code, 0);
  expect_same_run(at("unbroken"), at("run"));
}

TEST_F(TrainVerbTest, ARankThatIsKilledTakesTheJobDown) {
  const ProgramResult killed = train_and_kill(at("run"), 5, 2);
  EXPECT_NE(killed.exit_code, 0);
  EXPECT_LT(killed.wall_s, 60) << "the others must not wait for ever";
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
  };
  for (const auto& [overrides, exit_code, parts] : cases) {
    expect_refused(train(overrides), exit_code, parts);
    EXPECT_FALSE(fs::exists(at("run"))) << overrides.front();
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
