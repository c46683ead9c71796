#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/preparation/dataset_checks.h"
#include "tests/data/preparation/package_tree.h"
#include "tests/support/run_program.h"

namespace trireme::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PrepareVerb : public testing::Test {
 protected:
  std::filesystem::path at(const char* name) const { return folder_.path() / name; }
  std::vector<std::string> arguments(const char* out) const {
    return {TRIREME_BINARY, "prepare",        "pictograms", "--out",
            at(out),        "--package-root", tree_.root(), "--no-check-counts"};
  }
  ProgramResult prepare(const char* out) const { return run_program(arguments(out)); }
  ProgramResult prepare_with_ranks(int ranks, const char* out) const {
    const auto argv = under_mpirun(TRIREME_MPIEXEC, ranks, arguments(out));
    return run_program(argv, mpirun_environment());
  }

  PackageTree tree_;
  TempFolder folder_;
};

TEST_F(PrepareVerb, TwoRanksWriteTheBytesOfOne) {
  const ProgramResult one = prepare("one"), two = prepare_with_ranks(2, "two");
  ASSERT_EQ(one.exit_code, 0) << one.err;
  ASSERT_EQ(two.exit_code, 0) << two.err;
  EXPECT_EQ(contents_of(at("one")), contents_of(at("two")));
}

TEST_F(PrepareVerb, TellsTheCountsAndVerifiesASecondTime) {
  const ProgramResult first = prepare("data");
  EXPECT_THAT(first.err, AllOf(HasSubstr("drawn by all three"), HasSubstr("info: wrote ")));
  const ProgramResult second = prepare("data");
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, AllOf(HasSubstr("info: verified "), HasSubstr("already prepared")));
}

TEST_F(PrepareVerb, RefusesMissingPackagesInOneLineOnEveryNumberOfRanks) {
  tree_.remove("usr/share/tuxpaint");
  for (const ProgramResult& ran : {prepare("data"), prepare_with_ranks(2, "data")}) {
    EXPECT_EQ(ran.exit_code, 3);
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("apt-get install --no-install-recommends tuxpaint-stamps-default librsvg2-bin"));
  }
}

TEST_F(PrepareVerb, RefusesADatasetThatItDoesNotKnow) {
  const ProgramResult ran = run_program({TRIREME_BINARY, "prepare", "flickr", "--out", at("data")});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("pictograms"));
}

TEST_F(PrepareVerb, InspectTellsWhatWasPrepared) {
  ASSERT_EQ(prepare("data").exit_code, 0);
  const ProgramResult ran = run_program({TRIREME_BINARY, "inspect", at("data")});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("dataset pictograms"), HasSubstr("CC-BY-SA-4.0"), HasSubstr("samples")));
}

}  // namespace
}  // namespace trireme::test
