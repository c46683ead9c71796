#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>

#include "core/io/embeddings_file.h"
#include "core/io/file.h"
#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using test::run_program;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SearchVerbTest : public ::testing::Test {
 protected:
  SearchVerbTest() {
    at::manual_seed(1);
    write("q.h5", "q", at::randn({7, 8}));
    write("c.h5", "d", at::randn({50, 8}));
  }

  fs::path at(const fs::path& name) const { return folder_.path() / name; }

  void write(const fs::path& name, const std::string& prefix, const torch::Tensor& rows,
             const std::string& model_sha256 = "aa") const {
    std::vector<std::string> ids;
    for (int64_t row = 0; row < rows.size(0); ++row) ids.push_back(prefix + std::to_string(row));
    EmbeddingsWriter writer(at(name), rows.size(0), rows.size(1), torch::kFloat32);
    writer.write(0, ids, rows);
    writer.commit({"model", model_sha256, "", "mrope", "", false});
  }

  ProgramResult search(std::vector<std::string> more = {}, int ranks = 1) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "search",   "--queries", at("q.h5"),
                                     "--corpus",     at("c.h5"), "--out",     at("run.h5")};
    argv.insert(argv.end(), more.begin(), more.end());
    if (ranks > 1) argv = test::under_mpirun(TRIREME_MPIEXEC, ranks, argv);
    return run_program(argv, test::mpirun_environment());
  }

  /// Expects one error line, last on stderr, that holds `part`, the exit code, and no output.
  void expect_refused(const ProgramResult& ran, int exit_code, const std::string& part) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      EXPECT_THAT(entry.path().filename().string(), ::testing::Not(HasSubstr("run")));
  }

  test::TempFolder folder_;
};

TEST_F(SearchVerbTest, WritesTheSameBytesWithOneTwoAndThreeRanks) {
  const std::vector<std::string> options = {"--k", "6", "--trec", at("run.txt")};
  const ProgramResult alone = search(options);
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_THAT(alone.err, HasSubstr("7 queries in 50 x 8"));
  const std::string run = read_text_file(at("run.h5")), text = read_text_file(at("run.txt"));
  EXPECT_THAT(text, StartsWith("q0 Q0 d"));
  for (const int ranks : {2, 3}) {
    const ProgramResult together = search(options, ranks);
    ASSERT_EQ(together.exit_code, 0) << together.err;
    EXPECT_TRUE(read_text_file(at("run.h5")) == run);
    EXPECT_EQ(read_text_file(at("run.txt")), text);
  }
}

TEST_F(SearchVerbTest, InspectTellsWhatARunHolds) {
  ASSERT_EQ(search({"--k", "6"}).exit_code, 0);
  const ProgramResult told = run_program({TRIREME_BINARY, "inspect", at("run.h5")});
  EXPECT_EQ(told.exit_code, 0) << told.err;
  for (const char* part : {"queries         7", "6 for each, of 50", "exact", "q0: d"})
    EXPECT_THAT(told.out, HasSubstr(part));
}

TEST_F(SearchVerbTest, TellsTheRecallOfAnIndex) {
  const ProgramResult ran = search({"--k", "5", "--index", "hnsw", "--index-file", at("index")});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("% of the exact 5 nearest"));
  EXPECT_TRUE(fs::exists(at("index.json")));
}

TEST_F(SearchVerbTest, RefusesWithOneLineAndTheRightCode) {
  expect_refused(search({"--k", "51"}), 2, "k = 51 and 50 rows");
  expect_refused(search({"--k", "51"}, 2), 2, "k = 51 and 50 rows");
  expect_refused(search({"--index", "flat"}), 2, "exact, hnsw");
  write("c.h5", "d", at::randn({50, 9}));
  expect_refused(search({"--k", "5"}), 4, "dimensions");
  write("c.h5", "d", at::randn({50, 8}), "bb");
  expect_refused(search({"--k", "5"}), 3, "sha256 of its weights");
  fs::remove(at("c.h5"));
  expect_refused(search({"--k", "5"}), 3, "c.h5");
}

TEST_F(SearchVerbTest, BenchPrintsOneLineOfJson) {
  const ProgramResult ran = run_program({TRIREME_BINARY, "bench", "search", "--queries", "20", "--corpus", "300",
                                         "--dim", "8", "--k", "3", "--scratch", folder_.path()});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith(R"({"bench":"search","queries":20)"));
  EXPECT_THAT(ran.out, HasSubstr("share_of_gemm"));
  const ProgramResult unknown = run_program({TRIREME_BINARY, "bench", "serch"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.last_error_line(), HasSubstr("did you mean search?"));
}

}  // namespace
}  // namespace trireme
