// How the program starts: its threads' waiting, the launcher, the standard streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

/// The program with `variables` in its environment, and without those by which a user chooses how threads wait.
ProgramResult start(const std::vector<std::string>& arguments, const std::vector<std::string>& variables = {}) {
  std::vector<std::string> argv = {"/usr/bin/env", "-u", "OMP_WAIT_POLICY", "-u", "GOMP_SPINCOUNT"};
  argv.insert(argv.end(), variables.begin(), variables.end());
  argv.push_back(TRIREME_BINARY);
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_program(argv);
}

ProgramResult shell(const std::string& script) {
  return run_program({"/bin/bash", "-c", "trireme='" TRIREME_BINARY "'\n" + script});
}

/// libgomp itself says what it goes by.
TEST(ThreadWait, SpinsWithABound) {
  const ProgramResult ran = start({"--version"}, {"OMP_DISPLAY_ENV=verbose"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("GOMP_SPINCOUNT = '3000'"));
}

TEST(ThreadWait, IsAsTheUserHasIt) {
  EXPECT_THAT(start({"--version"}, {"OMP_DISPLAY_ENV=verbose", "GOMP_SPINCOUNT=7"}).err,
              HasSubstr("GOMP_SPINCOUNT = '7'"));
  EXPECT_THAT(start({"--version"}, {"OMP_DISPLAY_ENV=verbose", "OMP_WAIT_POLICY=active"}).err,
              AllOf(HasSubstr("OMP_WAIT_POLICY = 'ACTIVE'"), Not(HasSubstr("GOMP_SPINCOUNT = '3000'"))));
}

TEST(ThreadWait, IsToldByDoctorAndSoIsAnotherLauncher) {
  const ProgramResult own = start({"doctor"}, {"RANK=0", "WORLD_SIZE=2"});
  EXPECT_THAT(own.out, ContainsRegex("ok +openmp +GOMP_SPINCOUNT=3000, the program's own"));
  EXPECT_THAT(own.out, ContainsRegex("wrong +mpi .*torchrun"));
  EXPECT_THAT(start({"doctor"}, {"OMP_WAIT_POLICY=passive"}).out,
              ContainsRegex("ok +openmp +OMP_WAIT_POLICY=passive, as the environment has it"));
}

TEST(ThreadWait, LeavesTheProcessAsItWas) {
  const ProgramResult ran = shell(R"(unset OMP_WAIT_POLICY GOMP_SPINCOUNT; export ODD=$'a\nb' EMPTY=
$trireme inspect "no such  file 'x'" & child=$!
wait $child; echo "code $?")");
  EXPECT_THAT(ran.out, HasSubstr("code 3"));
  EXPECT_THAT(ran.err, HasSubstr("got no such  file 'x'"));
  EXPECT_EQ(start({}).exit_code, 2);
}

TEST(OtherLauncher, IsRefusedOnceInsteadOfDoingTheWorkManyTimes) {
  const TempFolder folder;
  const std::vector<std::vector<std::string>> launchers = {
      {"RANK=@", "WORLD_SIZE=4", "LOCAL_RANK=@", "MASTER_ADDR=localhost"},
      {"PMI_RANK=@", "PMI_SIZE=4"},
      {"MV2_COMM_WORLD_RANK=@", "MV2_COMM_WORLD_SIZE=4"},
      {"JSM_NAMESPACE_RANK=@", "JSM_NAMESPACE_SIZE=4"},
      {"FLUX_TASK_RANK=@", "FLUX_JOB_SIZE=4"},
      {"PMIX_RANK=@"},
      {"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=1", "PMI_RANK=@", "PMI_SIZE=4"},  // hydra starts its proxies by srun
  };
  for (const std::vector<std::string>& launcher : launchers) {
    for (const std::string rank : {"0", "1"}) {
      std::vector<std::string> variables = launcher;
      for (std::string& variable : variables) {
        if (variable.ends_with("@")) variable.replace(variable.size() - 1, 1, rank);
      }
      const ProgramResult ran = start({"embed", "--model", folder.path(), "--records", folder.path() / "r.jsonl",
                                       "--image-root", folder.path(), "--out", folder.path() / "e.h5"},
                                      variables);
      EXPECT_EQ(ran.exit_code, 2) << launcher.front() << "\n" << ran.err;
      EXPECT_EQ(ran.error_lines(), rank == "0" ? 1 : 0) << ran.err;
      if (rank != "0") continue;
      EXPECT_THAT(ran.last_error_line(),
                  AllOf(HasSubstr("[launch]"), HasSubstr("got process 0 of"), HasSubstr("mpirun")));
      const std::string name = variables[variables.size() > 2 && variables[0].starts_with("SLURM") ? 2 : 0];
      EXPECT_THAT(ran.last_error_line(), HasSubstr(name.substr(0, name.find('='))));
    }
  }
}

TEST(OtherLauncher, IsNotSeenWhereOneProcessWorks) {
  const std::vector<std::vector<std::string>> alone = {
      {"RANK=0", "WORLD_SIZE=1"}, {"WORLD_SIZE=4"}, {"RANK=silver", "WORLD_SIZE=4"}, {"PMI_RANK=0", "PMI_SIZE=1"}};
  for (const std::vector<std::string>& variables : alone) {
    const ProgramResult ran =
        start({"search", "--queries", "none.h5", "--corpus", "none.h5", "--out", "o.h5"}, variables);
    EXPECT_EQ(ran.exit_code, 3) << variables.front();
    EXPECT_THAT(ran.last_error_line(), HasSubstr("none.h5"));
  }
}

TEST(StandardOutput, ThatCannotBeWrittenIsAnError) {
  for (const std::string what : {"--help", "--version", "inspect " TRIREME_TEST_DIR "/golden/embed/model"}) {
    for (const auto& [output, reason] : std::vector<std::pair<std::string, std::string>>{
             {">/dev/full", "No space left on device"}, {">&-", "Bad file descriptor"}}) {
      const ProgramResult ran = shell("$trireme " + what + " " + output);
      EXPECT_EQ(ran.exit_code, 3) << what << output << ran.err;
      EXPECT_EQ(ran.error_lines(), 1) << ran.err;
      EXPECT_THAT(ran.last_error_line(), AllOf(HasSubstr("standard output must take"), HasSubstr(reason)));
    }
  }
}

TEST(StandardOutput, WhoseReaderIsGoneIsAnError) {
  // The reader has left before the program starts: `wait` is for it.
  const ProgramResult ran = shell(R"(exec 3> >(exit 0); wait $!
$trireme --help >&3; echo "code $?")");
  EXPECT_THAT(ran.out, HasSubstr("code 3"));
  EXPECT_THAT(ran.err, HasSubstr("Broken pipe"));
}

TEST(StandardError, ThatCannotBeWrittenChangesNothing) {
  EXPECT_EQ(shell("$trireme --version 2>&-").exit_code, 0);
  EXPECT_EQ(shell("$trireme inspect nowhere 2>/dev/full").exit_code, 3);
  EXPECT_EQ(shell("$trireme inspect nowhere 2>&- <&-").exit_code, 3);
}

}  // namespace
}  // namespace trireme::test
