#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "tests/launch/toy_run.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using test::replaced;
using test::run_program;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// What is made of a run directory after the run.
class RunFolderTest : public test::ToyRun {
 protected:
  /// Trains `steps` steps into at(run).
  ProgramResult short_run(const std::string& run, int steps, std::vector<std::string> more = {}) const {
    more.insert(more.end(),
                {"run_dir=" + at(run).string(), fmt::format("train.steps={}", steps), "checkpoint.every_steps=2"});
    return train(std::move(more));
  }
  ProgramResult inspect(const fs::path& path) const { return run_program({TRIREME_BINARY, "inspect", path}); }
  ProgramResult in_folder(const fs::path& folder, const std::string& command) const {
    return run_program(
        {"/bin/bash", "-c", fmt::format("cd '{}' && exec '{}' {}", folder.string(), TRIREME_BINARY, command)},
        kEnvironment);
  }
  void edit_json(const fs::path& file, const std::function<void(nlohmann::json&)>& edit) const {
    auto json = parse_json(read_text_file(file));
    edit(json);
    std::ofstream(file) << dump_json(json);
  }
};

// --- inspect ------------------------------------------------------------------------------------------------

TEST_F(RunFolderTest, InspectTellsWhatACheckpointOfARunHolds) {
  ASSERT_EQ(short_run("run", 4).exit_code, 0);
  const ProgramResult told = inspect(at("run/checkpoints/step_000004"));
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_THAT(told.out,
              AllOf(HasSubstr("checkpoint of a run"), HasSubstr("step            4\n"), HasSubstr("lamra_ret"),
                    HasSubstr("LoRA on 14 layers"), HasSubstr("AdamW after 4 updates"),
                    HasSubstr("best            not known"), HasSubstr("valid           yes")));
  EXPECT_THAT(told.out, HasSubstr(at("model").string()));

  std::ofstream(at("run/checkpoints/step_000004/weights.safetensors"), std::ios::app) << "x";
  const ProgramResult damaged = inspect(at("run/checkpoints/step_000004"));
  expect_refused(damaged, 3, {"weights.safetensors"});
  EXPECT_THAT(damaged.err, Not(HasSubstr("dataset")));
  fs::remove(at("run/checkpoints/step_000004/manifest.json"));
  expect_refused(inspect(at("run/checkpoints/step_000004")), 3, {"manifest.json"});
}

TEST_F(RunFolderTest, InspectTellsWhatARunHoldsAndWhichCheckpointsAreWhole) {
  ASSERT_EQ(short_run("run", 4).exit_code, 0);
  const ProgramResult told = inspect(at("run"));
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_THAT(told.out,
              AllOf(HasSubstr("run\n"), HasSubstr("started         1 time, last"), HasSubstr("steps done      4"),
                    HasSubstr("curves          to step 3"), HasSubstr("parameters of"), HasSubstr("AdamW"),
                    HasSubstr("step_000002   valid\n"), HasSubstr("step_000004   valid, the newest\n")));
  std::ofstream(at("run/checkpoints/step_000004/state.json"), std::ios::app) << "x";
  const ProgramResult damaged = inspect(at("run"));
  EXPECT_EQ(damaged.exit_code, 0) << damaged.err;
  EXPECT_THAT(damaged.out, AllOf(HasSubstr("steps done      2"), HasSubstr("step_000004   damaged: "),
                                 HasSubstr("step_000002   valid, the newest")));
  fs::remove_all(at("run/checkpoints"));
  EXPECT_THAT(inspect(at("run")).out, HasSubstr("checkpoints     none"));
}

// --- the base elsewhere -------------------------------------------------------------------------------------

TEST_F(RunFolderTest, ExportFindsARelativeBaseAgainAndTakesAnother) {
  fs::create_directories(at("elsewhere"));
  const std::string trained = "train config.yaml model.path=model run_dir=run train.steps=2 --threads 1";
  ASSERT_EQ(in_folder(folder_.path(), trained).exit_code, 0);
  const std::string command = "export --run ../run --format adapter,merged --threads 1 --out ";
  const ProgramResult found = in_folder(at("elsewhere"), command + "a");
  ASSERT_EQ(found.exit_code, 0) << found.err;
  const auto config = parse_json(read_text_file(at("elsewhere/a/adapter/adapter_config.json")));
  EXPECT_TRUE(fs::path(config["base_model_name_or_path"].get<std::string>()).is_absolute());
  EXPECT_TRUE(fs::equivalent(config["base_model_name_or_path"].get<std::string>(), at("model")));

  fs::rename(at("model"), at("moved"));
  expect_refused(in_folder(at("elsewhere"), command + "b"), 3, {"model.path", "\"model\"", "--base DIR"});
  const ProgramResult named = in_folder(at("elsewhere"), command + "c --base ../moved");
  ASSERT_EQ(named.exit_code, 0) << named.err;
  EXPECT_EQ(read_text_file(at("elsewhere/a/merged/model.safetensors")),
            read_text_file(at("elsewhere/c/merged/model.safetensors")));

  // Another base is not taken for the run's.
  fs::copy(at("moved"), at("other"), fs::copy_options::recursive);
  {
    std::fstream weights(at("other/model.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
    weights.seekp(-1, std::ios::end);
    weights.put('\x11');
  }
  expect_refused(in_folder(at("elsewhere"), command + "d --base ../other"), 3,
                 {"must be the one the run was made with"});
  expect_refused(in_folder(at("elsewhere"), command + "e --base ../moved --base-adapter ../adapter"), 2, {"has none"});
  expect_refused(in_folder(at("elsewhere"), "export --model ../moved --base ../moved --out f"), 2, {"base"});
}

// --- what is not used is named ------------------------------------------------------------------------------

TEST_F(RunFolderTest, EveryVerbNamesOnceWhatItReadsAndDoesNotUse) {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  {
    const SafetensorsFile file(at("model/model.safetensors"));
    for (const SafetensorsEntry& entry : file.entries()) tensors.emplace_back(entry.name, file.tensor(entry).clone());
  }
  const auto embeddings =
      std::ranges::find_if(tensors, [](const auto& entry) { return entry.first.ends_with("embed_tokens.weight"); });
  ASSERT_NE(embeddings, tensors.end());
  tensors.emplace_back("lm_head.weight", embeddings->second.clone());
  write_safetensors(at("model/model.safetensors"), tensors);
  const char* line = "not used: lm_head.weight (a copy of the embeddings, to which it is tied)";
  const auto times_in = [&](const ProgramResult& ran) {
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    int times = 0;
    for (auto at = ran.err.find(line); at != std::string::npos; at = ran.err.find(line, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(times_in(short_run("run", 2)), 1);
  const auto verb = [&](const char* name, const char* out) {
    return run_program({TRIREME_BINARY, name, "--model", at("model"), "--records", at("records.jsonl"), "--image-root",
                        at("images"), "--out", at(out)});
  };
  EXPECT_EQ(times_in(verb("embed", "e.h5")), 1);
  EXPECT_EQ(times_in(verb("generate", "g.jsonl")), 1);
  EXPECT_THAT(inspect(at("model")).out, HasSubstr("not used        lm_head.weight (a copy"));
  const ProgramResult exported = run_program({TRIREME_BINARY, "export", "--run", at("run"), "--format", "merged"});
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.err, HasSubstr("left out: \"lm_head.weight\" (tied: it is the embeddings)"));
}

// --- training on from an adapter ----------------------------------------------------------------------------

TEST_F(RunFolderTest, AnAdapterTrainsOnWithItsOwnDropoutOrTheOneGiven) {
  const std::string lora = "lora: {rank: 2, alpha: 4, dropout: 0.1}\n", config = read_text_file(at("config.yaml"));
  folder_.write("config.yaml", replaced(config, lora, ""));
  const std::string adapter = "model.adapter=" + at("adapter").string();
  const auto set_dropout = [&](double p) {
    edit_json(at("adapter/adapter_config.json"), [&](auto& json) { json["lora_dropout"] = p; });
  };
  const auto curves = [&](const std::string& run, std::vector<std::string> more = {}) {
    more.push_back(adapter);
    const ProgramResult ran = short_run(run, 3, more);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return read_text_file(at(run) / "metrics.jsonl");
  };
  set_dropout(0);
  const std::string without = curves("without");
  set_dropout(0.5);
  const std::string own = curves("own"), given = curves("given", {"model.adapter_dropout=0.5"}),
                    none = curves("none", {"model.adapter_dropout=0"});
  EXPECT_NE(own, without) << "the adapter's own dropout";
  EXPECT_EQ(own, given);
  EXPECT_EQ(none, without);

  const ProgramResult exported = run_program(
      {TRIREME_BINARY, "export", "--run", at("own"), "--format", "adapter", "--threads", "1"}, kEnvironment);
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(parse_json(read_text_file(at("own/export/adapter/adapter_config.json")))["lora_dropout"], 0.5);

  folder_.write("config.yaml", config);
  expect_refused(short_run("both", 3, {adapter}), 2, {"lora", "model.adapter_dropout"});
  expect_refused(short_run("alone", 3, {"model.adapter_dropout=0.5"}), 2, {"adapter_dropout", "model.adapter"});
}

}  // namespace
}  // namespace trireme
