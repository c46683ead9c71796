#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "data/sources/hard_negatives_file.h"
#include "tests/support/run_program.h"
#include "tests/support/toy_mining.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using test::run_program;
using test::ToyMining;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Runs the program itself on a tiny training set with the golden checkpoint.
class MineVerbTest : public ::testing::Test {
 protected:
  std::vector<std::string> command(std::vector<std::string> overrides = {}) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "mine", toy_.at("mine.yaml")};
    argv.insert(argv.end(), overrides.begin(), overrides.end());
    return argv;
  }
  ProgramResult mine(std::vector<std::string> overrides = {}) const { return run_program(command(overrides)); }
  ProgramResult mine_with_ranks(int ranks, std::vector<std::string> overrides = {}) const {
    return run_program(test::under_mpirun(TRIREME_MPIEXEC, ranks, command(overrides)), test::mpirun_environment());
  }
  std::string bytes() const { return read_text_file(toy_.at("hard.h5")); }

  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_THAT(ran.last_error_line(), StartsWith("error: "));
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
    EXPECT_FALSE(fs::exists(toy_.at("hard.h5")));
  }

  ToyMining toy_;
};

TEST_F(MineVerbTest, WritesHardNegativesAndTellsWhatItDid) {
  const ProgramResult ran = mine();
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("dataset9_task1: 12 queries in 14 documents; a document alone"),
                             HasSubstr("34 records embedded"), HasSubstr("15 queries, 60 documents")));
  EXPECT_EQ(HardNegativesFile::open(toy_.at("hard.h5")).queries(), 15);
  EXPECT_FALSE(fs::exists(toy_.at("hard.h5.work")));
  const ProgramResult inspected = run_program({TRIREME_BINARY, "inspect", toy_.at("hard.h5")});
  ASSERT_EQ(inspected.exit_code, 0) << inspected.err;
  EXPECT_THAT(inspected.out, AllOf(HasSubstr("hard negatives"), HasSubstr("15"), HasSubstr("pool.jsonl, task")));
}

TEST_F(MineVerbTest, OneAndTwoRanksWriteTheSameBytes) {
  const std::vector<std::string> filters = {"filters.relative_margin=0.999", "filters.duplicate_pictures=dhash",
                                            "filters.on_empty=keep_unfiltered", "--threads", "1"};
  ASSERT_EQ(mine(filters).exit_code, 0);
  const std::string one = bytes();
  for (const int ranks : {2, 3}) {
    const ProgramResult ran = mine_with_ranks(ranks, filters);
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_TRUE(bytes() == one);
  }
}

TEST_F(MineVerbTest, KilledByTheSystemItGoesOn) {
  ASSERT_EQ(mine({"block_queries=1"}).exit_code, 0);
  const std::string whole = bytes();
  fs::remove(toy_.at("hard.h5"));
  // Killed when the second list is there; should it be faster than the shell, it ends by itself.
  const std::string lists = toy_.at("hard.h5.work/lists").string();
  const std::string script = fmt::format(
      "\"$@\" & job=$!\n"
      "while kill -0 $job 2>/dev/null && [ ! -e {}/dataset9_task1.1-2.h5 ]; do sleep 0.002; done\n"
      "kill -KILL $job; wait $job",
      lists);
  std::vector<std::string> argv = {"/bin/sh", "-c", script, "sh"};
  for (const std::string& each : command({"block_queries=1"})) argv.push_back(each);
  run_program(argv);
  const ProgramResult again = mine({"block_queries=1"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(bytes() == whole);
  EXPECT_FALSE(fs::exists(toy_.at("hard.h5.work")));
}

TEST_F(MineVerbTest, RefusesBeforeWeightsAreRead) {
  expect_refused(mine({"depth=5"}), 2, {"depth", "dataset 9, task 4"});
  expect_refused(mine({"source.pool=none.jsonl"}), 3, {"none.jsonl"});
  expect_refused(mine({"filters.last_rnk=3"}), 2, {"filters.last_rnk", "last_rank"});
  expect_refused(mine({"source.instructions=null"}), 2, {"source.instructions"});
  expect_refused(mine_with_ranks(2, {"source.tasks=[0]"}), 3, {"at least one query"});
  toy_.write("train.jsonl",
             "{\"qid\": \"9:1\", \"query_txt\": \"x\", \"query_modality\": \"text\", \"task_id\": 1, "
             "\"pos_cand_list\": []}\n");
  expect_refused(mine(), 3, {"train.jsonl:1", "pos_cand_list"});
  expect_refused(run_program({TRIREME_BINARY, "mine", toy_.at("none.yaml")}), 3, {"none.yaml"});
}

TEST_F(MineVerbTest, HelpTellsTheKeysOfItsFile) {
  const ProgramResult ran = run_program({TRIREME_BINARY, "mine", "--help"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("relative_margin"), HasSubstr("keep_unfiltered"), HasSubstr("block_queries")));
}

}  // namespace
}  // namespace trireme
