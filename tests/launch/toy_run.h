#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {

int64_t lines_of(const std::filesystem::path& path);
std::string replaced(std::string text, const std::string& from, const std::string& to);  ///< everywhere

/// A checkpoint of a few thousand weights and twelve pairs, texts beside pictures, and a run of sixty steps on them, as
/// `trireme train` runs it: a line of the curves every 4 steps and a checkpoint every 7, so that most checkpoints are
/// between two lines.
class ToyRun : public ::testing::Test {
 protected:
  ToyRun();

  std::filesystem::path at(const std::filesystem::path& name) const { return folder_.path() / name; }

  /// The command line of a run on `ranks` ranks; `more`: overrides and options.
  std::vector<std::string> command(int ranks, std::vector<std::string> more) const;
  ProgramResult train(std::vector<std::string> more = {}, int ranks = 1) const;
  /// Runs a bash script in which $train is the command above, and $run its run directory.
  ProgramResult script(const std::filesystem::path& run, int ranks, const std::string& text,
                       std::vector<std::string> more = {}) const;
  /// Trains until the run's metrics.jsonl has `lines` lines, and then kills the process of its last rank.
  ProgramResult train_and_kill(const std::filesystem::path& run, int lines, int ranks,
                               std::vector<std::string> more = {}) const;

  /// What a retriever might have found for the first `queries` of the twelve: five documents each, its own among them.
  void write_mined(const std::filesystem::path& path, int queries) const;

  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const;
  std::string final_file(const std::filesystem::path& run, const std::string& name) const;
  void expect_same_run(const std::filesystem::path& a, const std::filesystem::path& b) const;

  const std::vector<std::string> kEnvironment = mpirun_environment();
  TempFolder folder_;
};

}  // namespace trireme::test
