// Kills a run by SIGKILL, starts it again, kills it again: at the end nothing shows of it.
#include <csignal>

#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

int run_toy(const std::filesystem::path& folder, int64_t ranks, int64_t kill_after) {
  const ProgramResult result =
      run_program({TRIREME_RESUME_PROGRAM, folder, std::to_string(ranks), std::to_string(kill_after)});
  if (result.exit_code != 0 && kill_after < 0) ADD_FAILURE() << result.err;
  return result.exit_code;
}

void expect_same_run(const std::filesystem::path& run, const std::filesystem::path& expected) {
  for (const char* name : {"metrics.jsonl", "timing.jsonl", "checkpoints/step_000024/weights.safetensors",
                           "checkpoints/step_000024/optimizer.safetensors"}) {
    EXPECT_EQ(read_text_file(run / name), read_text_file(expected / name)) << name;
  }
}

class Resume : public ::testing::TestWithParam<int64_t> {};

TEST_P(Resume, TwiceKilledEqualsUnbrokenBitForBit) {
  const int64_t ranks = GetParam();
  const TempFolder folder;
  const std::filesystem::path unbroken = folder.path() / "unbroken";
  ASSERT_EQ(run_toy(unbroken, ranks, -1), 0);
  const std::vector<std::pair<int64_t, int64_t>> kills = {{1, 2}, {6, 17}};
  for (const auto& [first, second] : kills) {
    const std::filesystem::path run = folder.path() / fmt::format("killed_{}_{}", first, second);
    EXPECT_EQ(run_toy(run, ranks, first), 128 + SIGKILL);
    EXPECT_EQ(run_toy(run, ranks, second), 128 + SIGKILL);
    ASSERT_EQ(run_toy(run, ranks, -1), 0);
    expect_same_run(run, unbroken);
  }
}

TEST(ResumeWithAnotherRankCount, GoesOnWithTheSameBatches) {
  const TempFolder folder;
  ASSERT_EQ(run_toy(folder.path() / "one", 1, -1), 0);
  EXPECT_EQ(run_toy(folder.path() / "changed", 1, 8), 128 + SIGKILL);
  EXPECT_EQ(run_toy(folder.path() / "changed", 4, 17), 128 + SIGKILL);
  ASSERT_EQ(run_toy(folder.path() / "changed", 2, -1), 0);
  const std::filesystem::path weights = "checkpoints/step_000024/weights.safetensors";
  const SafetensorsFile got(folder.path() / "changed" / weights), expected(folder.path() / "one" / weights);
  ASSERT_EQ(got.entries().size(), expected.entries().size());
  for (const SafetensorsEntry& entry : expected.entries()) {
    const torch::Tensor want = expected.tensor(entry);
    const double difference = (got.tensor(*got.find(entry.name)) - want).abs().max().item<double>();
    EXPECT_LE(difference, 1e-5 * want.abs().max().item<double>()) << entry.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Resume, ::testing::Values(1, 2));

}  // namespace
}  // namespace trireme::test
