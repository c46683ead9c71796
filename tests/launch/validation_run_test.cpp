// Evaluation in the middle of `trireme train`, as a user runs it.
#include <nlohmann/json.hpp>
#include <set>

#include "core/io/file.h"
#include "core/json.h"
#include "tests/launch/toy_run.h"
#include "tests/support/toy_benchmark.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ValidationRun : public ToyRun {
 protected:
  /// `more` goes before what is set here.
  std::vector<std::string> validated(const fs::path& run, std::vector<std::string> more = {}) const {
    std::vector<std::string> overrides = {"run_dir=" + run.string(),
                                          "validation.every_steps=5",
                                          "validation.best_metric=recall@1",
                                          "validation.benchmark.split=test",
                                          "validation.benchmark.root=" + benchmark_.root().string(),
                                          "validation.benchmark.image_root=" + folder_.path().string()};
    const auto key = [](const std::string& text) { return text.substr(0, text.find('=') + 1); };
    for (const std::string& each : more) {
      std::erase_if(overrides, [&](const std::string& set) { return set.starts_with(key(each)); });
      overrides.push_back(each);
    }
    return overrides;
  }

  std::set<std::string> checkpoints(const fs::path& run) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(run / "checkpoints")) names.insert(entry.path().filename());
    return names;
  }

  /// The lines of the curves that have validation's values.
  std::vector<nlohmann::json> evaluations(const fs::path& run) const {
    std::vector<nlohmann::json> found;
    std::istringstream lines(read_text_file(run / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      if (auto parsed = parse_json(line); parsed.contains("val/recall_at_1")) found.push_back(parsed);
    }
    return found;
  }

  const ToyBenchmark benchmark_;
};

TEST_F(ValidationRun, LeavesTheBitsOfTheWeightsAlone) {
  for (const int ranks : {1, 2}) {
    const fs::path with = at(fmt::format("with_{}", ranks)), without = at(fmt::format("without_{}", ranks));
    const ProgramResult ran = train(validated(with), ranks);
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    ASSERT_EQ(train({"run_dir=" + without.string()}, ranks).exit_code, 0);
    for (const char* name : {"weights.safetensors", "optimizer.safetensors"}) {
      EXPECT_TRUE(final_file(with, name) == final_file(without, name)) << name << " on " << ranks << " ranks";
    }
    EXPECT_EQ(evaluations(with).size(), 12u);
    EXPECT_EQ(evaluations(with).back().at("step"), 59);
  }
}

TEST_F(ValidationRun, KilledTwiceAndGoneOnWithEndsAsAnUnbrokenRun) {
  const fs::path unbroken = at("unbroken"), broken = at("broken");
  ASSERT_EQ(train(validated(unbroken), 2).exit_code, 0);
  for (const int lines : {7, 19}) {
    EXPECT_NE(train_and_kill(broken, lines, 2, validated(broken)).exit_code, 0);
    ASSERT_FALSE(fs::exists(broken / "checkpoints/step_000060")) << "it was to be killed before its end";
  }
  const ProgramResult last = train(validated(broken), 2);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  expect_same_run(unbroken, broken);
  const auto remembered = [&](const fs::path& run) {
    const auto state = parse_json(final_file(run, "state.json"));
    return nlohmann::json{state.at("counters"), state.at("pinned_steps")};
  };
  EXPECT_EQ(remembered(unbroken), remembered(broken));
  EXPECT_EQ(remembered(unbroken)[1].size(), 1u);
  EXPECT_EQ(checkpoints(unbroken), checkpoints(broken));
}

TEST_F(ValidationRun, KeepsTheBestCheckpointBesideTheNewestAndExportsIt) {
  // Nothing learnt: every evaluation gives the same, and of equal ones the first is the best.
  const ProgramResult ran = train(validated(at("run"), {"optim.peak_lr=1e-30", "checkpoint.keep_last=1"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(checkpoints(at("run")), ElementsAre("step_000005", "step_000060"));
  EXPECT_THAT(ran.err, HasSubstr("the best was"));
  const auto exported = [&](const std::string& checkpoint) {
    return run_program({TRIREME_BINARY, "export", "--run", at("run"), "--out", at("out"), "--format", "adapter",
                        "--checkpoint", checkpoint});
  };
  const ProgramResult best = exported("best"), newest = exported("last"), numbered = exported("60");
  EXPECT_EQ(best.exit_code, 0) << best.err;
  EXPECT_THAT(best.err, AllOf(HasSubstr("step_000005"), HasSubstr("the best by validation, ")));
  EXPECT_THAT(newest.err, AllOf(HasSubstr("step_000060"), HasSubstr("the best by validation is step_000005")));
  EXPECT_THAT(numbered.err, HasSubstr("step_000060, as asked"));
  const auto inspected = [&](const fs::path& path) { return run_program({TRIREME_BINARY, "inspect", path}).out; };
  EXPECT_THAT(inspected(at("run")), AllOf(HasSubstr("step_000005   valid, the best by its validation\n"),
                                          HasSubstr("step_000060   valid, the newest\n")));
  EXPECT_THAT(
      inspected(at("run/checkpoints/step_000060")),
      AllOf(HasSubstr("best            step_000005, "), HasSubstr("by its validation; 11 evaluations since were")));
  expect_refused(exported("bset"), 2, {"checkpoint", "last, best or a number", "bset"});
  expect_refused(exported("7"), 3, {"step_000007"});
}

TEST_F(ValidationRun, HasNoBestCheckpointWithoutTheSection) {
  ASSERT_EQ(train({"train.steps=3"}).exit_code, 0);
  expect_refused(run_program({TRIREME_BINARY, "export", "--run", at("run"), "--checkpoint", "best"}), 3,
                 {"validation section"});
}

TEST_F(ValidationRun, EndsWhenItsPatienceIsOverAndStaysEnded) {
  const auto overrides = validated(at("run"), {"optim.peak_lr=1e-30", "validation.patience=2"});
  const ProgramResult ran = train(overrides);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("the run ends here: no better one in 2 evaluations"));
  EXPECT_EQ(evaluations(at("run")).back().at("step"), 14);
  const std::set<std::string> kept = checkpoints(at("run"));
  EXPECT_TRUE(kept.contains("step_000005") && kept.contains("step_000015")) << ran.err;
  const std::string curves = read_text_file(at("run/metrics.jsonl"));
  ASSERT_EQ(train(overrides).exit_code, 0);
  EXPECT_EQ(read_text_file(at("run/metrics.jsonl")), curves);
  EXPECT_EQ(checkpoints(at("run")), kept);
}

TEST_F(ValidationRun, EmbeddingsThatAreNotFiniteEndTheRunWithEvidence) {
  // The update is finite, and what the model makes of it is not.
  const ProgramResult ran = train(validated(at("run"), {"train.steps=1", "optim.peak_lr=3e37", "optim.clip_norm=null",
                                                        "schedule.kind=constant", "schedule.warmup_steps=0"}));
  expect_refused(ran, 6, {"[step 0]", "the validation's embeddings must be finite", ".jsonl:1", "diverged.json"});
  EXPECT_EQ(parse_json(read_text_file(at("run/diverged.json"))).at("step"), 0);
  EXPECT_TRUE(fs::is_empty(at("run/checkpoints"))) << "nothing is kept of it";
}

TEST_F(ValidationRun, OneAndTwoRanksGiveTheSameValues) {
  for (const int ranks : {1, 2}) {
    ASSERT_EQ(train(validated(at(std::to_string(ranks)), {"optim.peak_lr=1e-30", "train.steps=5"}), ranks).exit_code,
              0);
  }
  EXPECT_EQ(evaluations(at("1")), evaluations(at("2")));
}

TEST_F(ValidationRun, AsksQueriesInItsOwnPromptAndOfPartOfThePool) {
  const auto overrides = validated(at("run"), {"train.steps=5", "validation.prompt=bare", "validation.max_queries=2",
                                               "validation.max_candidates=3"});
  const ProgramResult ran = train(overrides);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const double recall = evaluations(at("run")).front().at("val_rows/names").get<double>();
  EXPECT_EQ(recall, 1.0) << "recall@5 in a pool of three";
}

TEST_F(ValidationRun, RefusesBeforeTheRunDirectoryIsMade) {
  const std::vector<std::tuple<std::string, int, std::vector<std::string>>> cases = {
      {"validation.best_metric=recall@7", 2, {"best_metric", "recall@7", "recall@5"}},
      {"validation.benchmark.root=" + at("absent").string(), 3, {"absent"}},
      {"validation.benchmark.split=val", 2, {"split val"}},
      {"validation.patience=0", 2, {"validation.patience"}},
      {"validation.every_step=5", 2, {"every_step", "every_steps"}},
      {"validation.benchmark.image_root=" + at("absent").string(), 3, {"absent"}},
  };
  for (const auto& [override_, exit_code, parts] : cases) {
    expect_refused(train(validated(at("run"), {override_})), exit_code, parts);
    EXPECT_FALSE(fs::exists(at("run"))) << override_;
  }
}

}  // namespace
}  // namespace trireme::test
