#include "trainers/run/run_directory.h"

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ATen/ops/full.h>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "core/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/trainers/listener.h"
#include "trainers/run/stop.h"
#include "trainers/run/trainable_file.h"

namespace trireme {
namespace {

using test::Listener;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

RunIdentity identity() {
  return {.recipe = "lamra_ret",
          .config_dump = "recipe: \"lamra_ret\"\nsteps: 10\nthreads: 2\n",
          .config_values = "recipe: \"lamra_ret\"\nsteps: 10\n",
          .seed = 42,
          .base = {"models/tiny", "0123"}};
}

std::unique_ptr<RunDirectory> open_run(const std::filesystem::path& path, const RunIdentity& run = identity(),
                                       std::vector<std::string> allow = {}) {
  Listener listener;
  return std::make_unique<RunDirectory>(path, run, ResumeConfig{std::move(allow)}, listener.log);
}

std::string open_refusal(const std::filesystem::path& path, const RunIdentity& run) {
  return message_of<ConfigError>([&] { open_run(path, run); });
}

void write_step(RunDirectory& run, int64_t step, double loss) {
  run.write({.step = step, .values = {{"loss", loss}}, .timings = {{"seconds", 0.5}}});
}

void checkpoint_at(RunDirectory& run, int64_t step) {
  std::filesystem::create_directories(run.checkpoints());
  Checkpoint checkpoint = run.begin_checkpoint(step);
  checkpoint.weights = {{"w", at::full({2}, step, at::kFloat)}};
  checkpoint.optimizer = {{"step", at::full({}, step, at::kFloat)}};
  write_checkpoint(run.checkpoints(), checkpoint);
}

std::string text_of(const RunDirectory& run, std::string_view name) { return read_text_file(run.path() / name); }

TEST(RunDirectory, BeginsWithItsConfigAndEnvironment) {
  const TempFolder folder;
  const auto run = open_run(folder.path() / "runs" / "a");
  EXPECT_FALSE(run->take_checkpoint());
  EXPECT_EQ(text_of(*run, "config.yaml"), identity().config_dump);
  const auto starts = parse_json(text_of(*run, "environment.json"));
  ASSERT_EQ(starts.size(), 1u);
  for (const char* key : {"started", "trireme", "commit", "compiler", "libtorch", "mpi", "ranks", "host", "seed"}) {
    EXPECT_TRUE(starts[0].contains(key)) << key;
  }
  EXPECT_EQ(starts[0]["recipe"], "lamra_ret");
  EXPECT_NE(starts[0]["commit"], "");
}

TEST(RunDirectory, WritesOneLineAStepWithNumbersToTheLastBit) {
  const TempFolder folder;
  const auto run = open_run(folder.path());
  run->write({.step = 3, .values = {{"loss", 0.1}, {"norm", std::nan("")}}, .timings = {{"pairs/s", 12.5}}});
  EXPECT_EQ(text_of(*run, "metrics.jsonl"), "{\"step\":3,\"loss\":0.1,\"norm\":\"nan\"}\n");
  EXPECT_EQ(text_of(*run, "timing.jsonl"), "{\"step\":3,\"pairs/s\":12.5}\n");
}

TEST(RunDirectory, GoesOnFromTheNewestCheckpointWithItsFilesCutBack) {
  const TempFolder folder;
  std::string at_checkpoint;
  {
    const auto run = open_run(folder.path());
    write_step(*run, 0, 2.5);
    write_step(*run, 1, 2.25);
    checkpoint_at(*run, 2);
    at_checkpoint = text_of(*run, "metrics.jsonl");
    write_step(*run, 2, 2.0);
  }
  const auto run = open_run(folder.path());
  EXPECT_EQ(text_of(*run, "metrics.jsonl"), at_checkpoint);
  EXPECT_EQ(parse_json(text_of(*run, "environment.json")).size(), 2u);
  const auto checkpoint = run->take_checkpoint();
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->step, 2);
  EXPECT_EQ(checkpoint->seed, 42u);
  EXPECT_FALSE(run->take_checkpoint());
  write_step(*run, 2, 2.0);
  EXPECT_EQ(text_of(*run, "metrics.jsonl"), at_checkpoint + "{\"step\":2,\"loss\":2.0}\n");
}

TEST(RunDirectory, BeginsAgainWhenKilledBeforeTheFirstCheckpoint) {
  const TempFolder folder;
  write_step(*open_run(folder.path()), 0, 2.5);
  const auto run = open_run(folder.path());
  EXPECT_FALSE(run->take_checkpoint());
  EXPECT_EQ(text_of(*run, "metrics.jsonl"), "");
}

TEST(RunDirectory, SaysWhichCheckpointItSkips) {
  const TempFolder folder;
  {
    const auto run = open_run(folder.path());
    checkpoint_at(*run, 2);
    checkpoint_at(*run, 4);
  }
  std::filesystem::resize_file(folder.path() / "checkpoints/step_000004/weights.safetensors", 9);
  Listener listener;
  RunDirectory run(folder.path(), identity(), {}, listener.log);
  EXPECT_EQ(run.take_checkpoint()->step, 2);
  EXPECT_THAT(listener.text.str(), AllOf(HasSubstr("warning"), HasSubstr("step_000004"), HasSubstr("got 9"),
                                         HasSubstr("going on after step 2")));
}

TEST(RunDirectory, RefusesToBeginAgainOverDamagedCheckpoints) {
  const TempFolder folder;
  checkpoint_at(*open_run(folder.path()), 2);
  std::filesystem::remove(folder.path() / "checkpoints/step_000002/state.json");
  EXPECT_THAT(message_of<DataError>([&] { open_run(folder.path()); }),
              AllOf(HasSubstr("1 damaged"), HasSubstr("state.json")));
}

TEST(RunDirectory, RefusesAnotherConfigWithAndWithoutACheckpoint) {
  const TempFolder folder;
  open_run(folder.path());
  RunIdentity other = identity();
  other.config_dump = "recipe: \"lamra_ret\"\nsteps: 20\nthreads: 8\n";
  other.config_values = "recipe: \"lamra_ret\"\nsteps: 20\n";
  for (const bool with_checkpoint : {false, true}) {
    if (with_checkpoint) checkpoint_at(*open_run(folder.path()), 2);
    const std::string message = open_refusal(folder.path(), other);
    EXPECT_THAT(message, AllOf(HasSubstr("steps: 10 then and 20 now"), HasSubstr("resume.allow=[steps]"),
                               ::testing::Not(HasSubstr("threads"))));
    EXPECT_EQ(read_text_file(folder.path() / "config.yaml"), identity().config_dump);
  }
  const auto run = open_run(folder.path(), other, {"steps"});
  EXPECT_EQ(run->take_checkpoint()->step, 2);
  EXPECT_EQ(text_of(*run, "config.yaml"), other.config_dump);
}

TEST(RunDirectory, RefusesAnotherRecipeAndAnotherBaseModel) {
  const TempFolder folder;
  RunIdentity other = identity();
  other.recipe = "grip";
  other.config_dump = other.config_values = "recipe: \"grip\"\n";
  RunIdentity rebased = identity();
  rebased.base.sha256 = "4567";
  open_run(folder.path());
  EXPECT_THAT(open_refusal(folder.path(), other), HasSubstr("must belong to recipe grip; got recipe lamra_ret"));
  checkpoint_at(*open_run(folder.path()), 2);
  EXPECT_THAT(open_refusal(folder.path(), other), HasSubstr("must belong to recipe grip; got recipe lamra_ret"));
  EXPECT_THAT(open_refusal(folder.path(), rebased), AllOf(HasSubstr("0123"), HasSubstr("4567")));
}

TEST(RunDirectory, RefusesAFolderOfOtherThings) {
  const TempFolder folder;
  folder.write("thesis.tex", "x");
  EXPECT_THAT(open_refusal(folder.path(), identity()), HasSubstr("thesis.tex"));
}

TEST(RunDirectory, RefusesASecondRunAtTheSameTime) {
  const TempFolder folder;
  {
    const auto run = open_run(folder.path());
    EXPECT_THAT(message_of<DataError>([&] { open_run(folder.path()); }),
                AllOf(HasSubstr("one run at a time"), HasSubstr(fmt::format("process {}", ::getpid()))));
  }
  open_run(folder.path());
}

TEST(RunDirectory, RefusesAFolderThatCannotBeWritten) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path() / "run");
  ::chmod(folder.path().c_str(), 0755);
  ::chmod((folder.path() / "run").c_str(), 0555);
  const auto open_as_nobody = [&] {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(1);
    try {
      open_run(folder.path() / "run");
      ::_exit(0);
    } catch (const Error& error) {
      std::cerr << error.what() << std::endl;
      ::_exit(error.exit_code());
    }
  };
  EXPECT_EXIT(open_as_nobody(), ::testing::ExitedWithCode(DataError::kExitCode), "run/lock.*Permission denied");
}

TEST(TrainableFile, ListsEveryTensor) {
  const TempFolder folder;
  const std::filesystem::path path = folder.path() / "trainable.json";
  write_trainable_file(path,
                       {{"a.weight", {2, 3}, "float32", false, ""}, {"a.lora_A.weight", {1, 3}, "float32", true, "a"}});
  const auto listed = parse_json(read_text_file(path));
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0]["shape"], nlohmann::json({2, 3}));
  EXPECT_EQ(listed[1]["trainable"], true);
  EXPECT_EQ(listed[1]["lora_target"], "a");
  write_trainable_file(path, {});
  EXPECT_EQ(parse_json(read_text_file(path)), nlohmann::json::array());
}

TEST(AnyRankStops, IsTheSameAnswerOnEveryRank) {
  run_ranks(3, [](Communicator& comm) {
    EXPECT_FALSE(any_rank_stops(comm, false));
    EXPECT_TRUE(any_rank_stops(comm, comm.rank() == 1));
  });
}

}  // namespace
}  // namespace trireme
