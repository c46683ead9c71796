#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using test::run_program;
using test::TempFolder;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

ProgramResult run_export(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {TRIREME_BINARY, "export"});
  return run_program(arguments);
}

TEST(ExportVerb, AnAdapterAndWhatIsMergedOfItEmbedAlike) {
  const TempFolder folder;
  const ProgramResult exported = run_export({"--model", kGolden / "model", "--adapter", kGolden / "adapter", "--out",
                                             folder.path() / "out", "--format", "adapter,merged,torchscript"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.err + exported.out, HasSubstr("read back"));
  const auto embed = [&](const fs::path& model, const std::vector<std::string>& more, const char* out) {
    std::vector<std::string> arguments = {
        TRIREME_BINARY,     "embed", "--model",          model, "--records", kGolden / "records.jsonl", "--image-root",
        kGolden / "images", "--out", folder.path() / out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments).exit_code;
  };
  EXPECT_EQ(embed(kGolden / "model", {"--adapter", folder.path() / "out/adapter"}, "a.h5"), 0);
  EXPECT_EQ(embed(folder.path() / "out/merged", {}, "m.h5"), 0);
  EXPECT_TRUE(fs::exists(folder.path() / "out/torchscript/embed_text.pt"));
  EXPECT_THAT(exported.err, HasSubstr(" tensors: 6 LoRA merged in, "));
  EXPECT_THAT(exported.err, HasSubstr("pictures are not part of it"));
}

TEST(ExportVerb, RefusesWhatDoesNotFitTogether) {
  const TempFolder folder;
  const fs::path out = folder.path() / "out";
  const auto refused = [](const ProgramResult& result, int exit_code, const char* text) {
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.last_error_line(), HasSubstr(text));
    EXPECT_EQ(result.error_lines(), 1);
  };
  refused(run_export({"--out", out}), 2, "run");
  refused(run_export({"--model", kGolden / "model"}), 2, "out");
  refused(run_export({"--run", folder.path(), "--adapter", kGolden / "adapter"}), 2, "adapter");
  refused(run_export({"--model", kGolden / "model", "--out", out, "--format", "adapter"}), 2, "got none");
  refused(run_export({"--run", folder.path() / "nothing"}), 3, "config.yaml");
  fs::create_directories(out / "merged");
  std::ofstream(out / "merged" / "thesis.txt") << "mine";
  refused(run_export({"--model", kGolden / "model", "--out", out, "--format", "merged"}), 3, "other files");
  EXPECT_TRUE(fs::exists(out / "merged" / "thesis.txt"));
}

}  // namespace
}  // namespace trireme
