// Every way in which a file can fail under the program ends with one error line and exit code 3; nothing half written
// is left, and training keeps its steps where it can.
#include <set>

#include "core/io/file.h"
#include "tests/launch/toy_run.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;

class FileFailure : public ToyRun {
 protected:
  FileFailure() { fs::create_directory(at("out")); }

  /// A verb and its options, every path below the test's folder.
  std::string verb(const std::string& words) const {
    return std::string("'") + TRIREME_BINARY + "' " + replaced(words, "@", folder_.path().string());
  }
  ProgramResult shell(const std::string& script) const {
    return run_program({"/bin/bash", "-c", script}, kEnvironment);
  }

  /// The command with a limit on the files that it writes, but not on where its standard error goes.
  ProgramResult limited(int kib, const std::string& command) const {
    return shell(fmt::format("(ulimit -f {}; {}) 2>&1 >/dev/null | cat >&2; exit ${{PIPESTATUS[0]}}", kib, command));
  }

  std::set<std::string> names_in(const fs::path& folder) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    return names;
  }

  const std::string kEmbed = "embed --model @/model --records @/records.jsonl --image-root @/images --threads 1 --out ";
};

TEST_F(FileFailure, APastLimitOnFileSizesIsOneLineAndLeavesNothing) {
  ASSERT_EQ(shell(verb(kEmbed + "@/e.h5")).exit_code, 0);
  const std::vector<std::pair<std::string, std::string>> verbs = {
      {kEmbed + "@/out/e.h5", "e.h5"},
      {"search --queries @/e.h5 --corpus @/e.h5 --k 7 --threads 1 --out @/out/run.h5", "run.h5"},
      {"search --queries @/e.h5 --corpus @/e.h5 --k 7 --threads 1 --out @/r.h5 --trec @/out/run.trec", ""},
      {"generate --model @/model --records @/records.jsonl --image-root @/images --max-new-tokens 40 --threads 1 "
       "--out @/out/answers.jsonl",
       "answers.jsonl"},
      {"export --model @/model --adapter @/adapter --format adapter --threads 1 --out @/out/x", ""},
      {"export --model @/model --adapter @/adapter --format merged --threads 1 --out @/out/x", ""},
      {"export --model @/model --adapter @/adapter --format torchscript --threads 1 --out @/out/x", ""},
  };
  for (const auto& [words, out] : verbs) {
    if (!out.empty()) folder_.write("out/" + out, "old");
    const ProgramResult ran = limited(1, verb(words));
    expect_refused(ran, 3, {"File too large", "ulimit -f"});
    EXPECT_THAT(names_in(at("out")), IsSubsetOf(std::set<std::string>{out, "x"})) << words;
    EXPECT_TRUE(!fs::exists(at("out/x")) || fs::is_empty(at("out/x"))) << words;
    if (!out.empty()) {
      EXPECT_EQ(read_text_file(at("out/" + out)), "old") << words;
    }
    fs::remove_all(at("out"));
    fs::create_directory(at("out"));
  }
}

TEST_F(FileFailure, AFolderThatCannotBeMadeOrWrittenIsOneLine) {
  folder_.write("file", "");
  for (const std::string out : {"@/file/e.h5", "@/none/e.h5", "@/out", "/sys/e.h5", "/dev/full", "/dev/null"}) {
    expect_refused(shell(verb(kEmbed + out)), 3, {});
  }
  expect_refused(train({"run_dir=" + at("file/run").string()}), 3, {"file/run"});
  expect_refused(train({"run_dir=/proc/run"}), 3, {"/proc/run"});
  expect_refused(shell(verb("export --model @/model --adapter @/adapter --format adapter --out @/file/x")), 3,
                 {"file"});
  expect_refused(shell(verb(kEmbed + "@/out/e.h5 --log-dir @/file/log")), 3, {"file/log"});
  expect_refused(shell(verb(kEmbed + "@/out/e.h5 --log-dir /dev/full")), 3, {"/dev/full"});
}

TEST_F(FileFailure, AFolderOrADeviceForAFileThatIsReadIsOneLine) {
  for (const std::string words : {
           "embed --model @/model --records @/out --image-root @/images --out @/e.h5",
           "embed --model @/model --records /dev/null --image-root @/images --out @/e.h5",
           "embed --model @/records.jsonl --records @/records.jsonl --image-root @/images --out @/e.h5",
           "embed --model @/model --adapter @/out --records @/records.jsonl --image-root @/images --out @/e.h5",
           "embed --model @/model --records @/records.jsonl --image-root @/records.jsonl --out @/e.h5",
           "search --queries @/out --corpus @/out --out @/run.h5",
           "search --queries @/records.jsonl --corpus @/records.jsonl --out @/run.h5",
           "train @/out",
           "train /dev/null/config.yaml",
           "eval @/out",
           "mine @/out",
           "inspect @/out",
           "report @/out",
           "export --run @/out",
       }) {
    const ProgramResult ran = shell(verb(words));
    EXPECT_EQ(ran.exit_code, 3) << words << "\n" << ran.err;
    EXPECT_EQ(ran.error_lines(), 1) << words << "\n" << ran.err;
  }
}

TEST_F(FileFailure, ALogThatCannotGrowIsOneLine) {
  folder_.write("log/rank_0.log", std::string(64 << 10, '.'));
  expect_refused(limited(64, verb(kEmbed + "@/out/e.h5 --log-dir @/log")), 3,
                 {"a log line must be written whole", "File too large"});
}

/// Trains until the curves have a few lines, does `harm`, and waits for the end.
constexpr const char* kHarmWhileTraining = R"(train & child=$!
while kill -0 $child 2>/dev/null && [ $(cat $run/metrics.jsonl 2>/dev/null | wc -l) -lt 9 ]; do sleep 0.005; done
{harm}
wait $child)";

TEST_F(FileFailure, AMappedFileThatIsCutShortUnderTrainingEndsItWithItsStepsKept) {
  for (const int ranks : {1, 2}) {
    const fs::path mapped = at("pool.jsonl"), whole = at("whole"), run = at("run" + std::to_string(ranks));
    fs::copy_file(mapped, whole, fs::copy_options::overwrite_existing);
    const ProgramResult ran = script(
        run, ranks, replaced(kHarmWhileTraining, "{harm}", "truncate -s 0 " + mapped.string()),
        {"train.steps=20000", "checkpoint.every_steps=1000000", "schedule.kind=constant", "schedule.warmup_ratio=0"});
    expect_refused(ran, 3, {"pool.jsonl", "must stay whole", "shortened"});
    fs::copy_file(whole, mapped, fs::copy_options::overwrite_existing);
    if (ranks > 1) continue;  // rank 0 keeps what it can before the job is over
    EXPECT_THAT(ran.err, HasSubstr("are kept in a checkpoint"));
    ASSERT_EQ(names_in(run / "checkpoints").size(), 1u);
    const std::string kept = *names_in(run / "checkpoints").begin();
    const std::string steps = std::to_string(std::stoi(kept.substr(5)) + 3);
    const std::vector<std::string> same = {"train.steps=" + steps, "checkpoint.every_steps=1000000",
                                           "schedule.kind=constant", "schedule.warmup_ratio=0",
                                           "resume.allow=[train.steps]"};
    std::vector<std::string> on = same, anew = same;
    on.push_back("run_dir=" + run.string());
    anew.push_back("run_dir=" + at("anew").string());
    EXPECT_EQ(train(on).exit_code, 0);
    EXPECT_EQ(train(anew).exit_code, 0);
    const fs::path last = fs::path("checkpoints") / fmt::format("step_{:06}", std::stoi(steps)) / "weights.safetensors";
    EXPECT_TRUE(read_text_file(run / last) == read_text_file(at("anew") / last)) << "as if it had not been cut off";
    EXPECT_EQ(read_text_file(run / "metrics.jsonl"), read_text_file(at("anew/metrics.jsonl")));
  }
}

TEST_F(FileFailure, APictureThatIsGoneEndsTrainingWithItsStepsKept) {
  const ProgramResult ran = script(
      at("run"), 1, replaced(kHarmWhileTraining, "{harm}", "rm " + at("images/wide.png").string()),
      {"train.steps=20000", "checkpoint.every_steps=1000000", "schedule.kind=constant", "schedule.warmup_ratio=0"});
  expect_refused(ran, 3, {"wide.png"});
  EXPECT_THAT(ran.err, HasSubstr("are kept in a checkpoint"));
  EXPECT_EQ(names_in(at("run/checkpoints")).size(), 1u);
}

TEST_F(FileFailure, CurvesThatCannotGrowEndTrainingWithItsStepsKept) {
  // Larger than a checkpoint's files, smaller than what so many lines take.
  const ProgramResult ran = script(at("run"), 1, "ulimit -f 60; train",
                                   {"train.steps=20000", "checkpoint.every_steps=1000000", "schedule.kind=constant",
                                    "schedule.warmup_ratio=0", "guard.spike_z=1000"});
  expect_refused(ran, 3, {"File too large"});
  EXPECT_THAT(ran.err, HasSubstr("are kept in a checkpoint"));
  for (const char* name : {"metrics.jsonl", "timing.jsonl"}) {
    const std::string text = read_text_file(at("run") / name);
    EXPECT_TRUE(text.ends_with("}\n")) << "no half line in " << name;
  }
}

}  // namespace
}  // namespace trireme::test
