// How a job of three processes ends: exit code of mpirun, and all that stands on stderr.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "core/error.h"

namespace trireme::test {
namespace {

using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Job {
  int exit_code;
  std::vector<std::string> lines;
};

Job run_job(const std::string& ending) {
  const std::string command = std::string(TRIREME_MPIRUN) + " " + TRIREME_ENDING_PROGRAM + " " + ending + " 2>&1";
  Job job{};
  FILE* output = popen(command.c_str(), "r");
  EXPECT_NE(output, nullptr);
  std::string text;
  std::array<char, 4096> piece{};
  while (const std::size_t length = std::fread(piece.data(), 1, piece.size(), output))
    text.append(piece.data(), length);
  const int status = pclose(output);
  job.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    job.lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return job;
}

std::string line_of(int64_t rank) {
  return fmt::format("error: rank {}/3 [test] records must be readable; got none; bring some.", rank);
}

TEST(JobEnding, IsSilentWhenAllFinish) {
  const Job job = run_job("finish");
  EXPECT_EQ(job.exit_code, 0);
  EXPECT_THAT(job.lines, IsEmpty());
}

TEST(JobEnding, KeepsTheCodeOfAnOrderlyStop) {
  const Job job = run_job("stop_all");
  EXPECT_EQ(job.exit_code, 75);
  EXPECT_THAT(job.lines, IsEmpty());
}

TEST(JobEnding, HasOneLineAndTheCodeOfTheRankThatFailed) {
  const Job job = run_job("fail_one");
  EXPECT_EQ(job.exit_code, DataError::kExitCode);
  EXPECT_THAT(job.lines, ElementsAre(line_of(2)));
}

TEST(JobEnding, HasOneLineWhenAllFail) {
  const Job job = run_job("fail_all");
  EXPECT_EQ(job.exit_code, DataError::kExitCode);
  EXPECT_THAT(job.lines, ElementsAre(line_of(0)));
}

TEST(JobEnding, CutsARankOffThatIsStuckWhenAnotherFails) {
  const Job job = run_job("fail_while_one_is_stuck");
  EXPECT_EQ(job.exit_code, DataError::kExitCode);
  ASSERT_THAT(job.lines, Not(IsEmpty()));
  EXPECT_EQ(job.lines.front(), line_of(2));
  for (std::size_t line = 1; line < job.lines.size(); ++line) EXPECT_THAT(job.lines[line], Not(HasSubstr("error: ")));
}

TEST(JobEnding, NamesTheCollectiveThatALostRankDoesNotEnter) {
  const Job job = run_job("lose_one");
  EXPECT_EQ(job.exit_code, DistError::kExitCode);
  ASSERT_THAT(job.lines, Not(IsEmpty()));
  EXPECT_THAT(job.lines.front(),
              HasSubstr("[dist] every rank must enter [1] all_reduce sum 1000000 float32 within 0.3 s"));
}

TEST(JobEnding, NamesARankThatIsStopped) {
  for (const char* ending : {"stop_one", "stop_one_at_the_end"}) {
    const Job job = run_job(ending);
    EXPECT_EQ(job.exit_code, DistError::kExitCode) << ending;
    EXPECT_THAT(job.lines, Contains(ContainsRegex("^error: rank [02]/3 \\[dist\\] every rank must .* within 0.3 s.* "
                                                  "rank 1 stopped \\(by SIGSTOP")));
  }
}

TEST(JobEnding, NamesARankThatWasKilled) {
  const Job job = run_job("kill_one");
  EXPECT_EQ(job.exit_code, 128 + SIGKILL) << "mpirun's own code: the signal of the first process that ended badly";
  const auto said =
      std::ranges::count_if(job.lines, [](const std::string& line) { return line.starts_with("error: "); });
  EXPECT_EQ(said, 1);
  EXPECT_THAT(job.lines, Contains(HasSubstr("[dist] every rank must live until the job ends; got rank 1 gone")));
  EXPECT_THAT(job.lines, Contains(ContainsRegex("while rank [02] waited in \\[[0-9]+\\] ")));
}

TEST(JobEnding, RefusesAnMpiThatSeesOtherRanksThanTheLauncherStarted) {
  const Job job = run_job("wrong_size");
  EXPECT_EQ(job.exit_code, DistError::kExitCode);
  EXPECT_THAT(job.lines, ElementsAre(HasSubstr("got rank 0 of 3 from MPI and rank 0 of 4 from mpirun")));
}

}  // namespace
}  // namespace trireme::test
