#include <filesystem>

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
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

ProgramResult inspect(const fs::path& path) { return run_program({TRIREME_BINARY, "inspect", path}); }

TEST(InspectVerb, TellsWhatACheckpointAndAnAdapterHold) {
  const ProgramResult checkpoint = inspect(kGolden / "model");
  EXPECT_EQ(checkpoint.exit_code, 0) << checkpoint.err;
  EXPECT_THAT(checkpoint.out, AllOf(HasSubstr("qwen2_vl"), HasSubstr("float32")));
  const ProgramResult adapter = inspect(kGolden / "adapter");
  EXPECT_EQ(adapter.exit_code, 0) << adapter.err;
  EXPECT_THAT(adapter.out, AllOf(HasSubstr("q_proj"), HasSubstr("8")));
}

TEST(InspectVerb, TellsWhatTheFilesHold) {
  const TempFolder folder;
  const fs::path out = folder.path() / "e.h5";
  ASSERT_EQ(run_program({TRIREME_BINARY, "embed", "--model", kGolden / "model", "--records", kGolden / "records.jsonl",
                         "--image-root", kGolden / "images", "--out", out})
                .exit_code,
            0);
  EXPECT_THAT(inspect(out).out,
              AllOf(HasSubstr("7"), HasSubstr("32 float32"), HasSubstr("mrope"), HasSubstr("unicode")));
  EXPECT_THAT(inspect(kGolden / "records.jsonl").out, AllOf(HasSubstr("records: 7"), HasSubstr("image and text 2")));
  EXPECT_THAT(inspect(kGolden / "expected.safetensors").out, AllOf(HasSubstr("[7, 32]"), HasSubstr("mrope")));
}

TEST(InspectVerb, RefusesWhatItDoesNotKnow) {
  const ProgramResult missing = inspect("nowhere");
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.last_error_line(), HasSubstr("nowhere"));
  EXPECT_EQ(inspect(kGolden / "make.py").exit_code, 3);
  EXPECT_EQ(run_program({TRIREME_BINARY, "inspect"}).exit_code, 2);
}

TEST(DoctorVerb, ExaminesTheMachine) {
  const ProgramResult ran = run_program({TRIREME_BINARY, "doctor"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("libtorch"), HasSubstr("float32 GEMM"), HasSubstr("hdf5"), HasSubstr("Open MPI")));
}

TEST(Program, HelpListsTheVerbs) {
  const ProgramResult ran = run_program({TRIREME_BINARY, "--help"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("embed"), HasSubstr("inspect"), HasSubstr("doctor")));
  const ProgramResult none = run_program({TRIREME_BINARY});
  EXPECT_EQ(none.exit_code, 2);
}

}  // namespace
}  // namespace trireme
