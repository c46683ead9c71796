#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/io/file.h"
#include "retrieval/rerank/fusion_config.h"
#include "retrieval/rerank/reranked_run.h"
#include "tests/support/run_program.h"
#include "tests/support/toy_benchmark.h"
#include "tests/support/toy_reranker.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using test::run_program;
using test::ToyBenchmark;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Runs the program itself on the lists of the toy benchmark's four words.
class RerankVerbTest : public ::testing::Test {
 protected:
  RerankVerbTest() {
    test::write_toy_reranker(at("rank"));
    fs::copy(fs::path(TRIREME_TEST_DIR) / "golden/embed/images", at("images"));
    run_.query_ids = {"9:1", "9:2", "9:3", "9:4"};
    for (int query = 0; query < 4; ++query)
      for (const char* document : {"9:15", "9:14", "9:13", "9:12", "9:11"}) run_.doc_ids.emplace_back(document);
    run_.scores = at::tensor({0.9f, 0.7f, 0.6f, 0.5f, 0.2f}).repeat({4, 1});
    run_.info = {"exact", "models/ret", "aa", "", "cc", 5};
    write_run(at("run.h5"), run_);
  }

  fs::path at(const fs::path& name) const { return benchmark_.root() / name; }

  ProgramResult rerank(std::vector<std::string> more, int ranks = 1) const {
    std::vector<std::string> argv = {TRIREME_BINARY,   "rerank",
                                     "--run",          at("run.h5"),
                                     "--out",          at("out.h5"),
                                     "--queries",      at("query/test/names.jsonl"),
                                     "--candidates",   at("cand_pool/local/names.jsonl"),
                                     "--instructions", at("instructions/query_instructions.tsv"),
                                     "--image-root",   at("")};
    argv.insert(argv.end(), more.begin(), more.end());
    if (ranks > 1) argv = test::under_mpirun(TRIREME_MPIEXEC, ranks, argv);
    return run_program(argv, test::mpirun_environment());
  }

  /// With the toy model.
  ProgramResult scored(std::vector<std::string> more, int ranks = 1) const {
    more.insert(more.begin(), {"--model", at("rank")});
    return rerank(std::move(more), ranks);
  }

  /// Expects one error line, last on stderr, that holds all of `parts`, the exit code, and the older output untouched.
  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_THAT(ran.last_error_line(), StartsWith("error: "));
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
    EXPECT_FALSE(fs::exists(at("out.h5")));
  }

  ToyBenchmark benchmark_;
  trireme::Run run_;
};

TEST_F(RerankVerbTest, ReordersTheHeadAndKeepsBothScores) {
  const ProgramResult ran =
      scored({"--depth", "3", "--fuse", "0", "--trec", at("out.txt"), "--metrics", at("metrics.json")});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err,
              AllOf(HasSubstr("4 queries x 3 candidates"), HasSubstr("fused with alpha=0"), HasSubstr("% of")));
  const trireme::Run fused = read_run(at("out.h5"));
  EXPECT_EQ(fused.info.method, "rerank pointwise, alpha=0");
  EXPECT_EQ(fused.info.model, at("rank").string());
  EXPECT_EQ(fused.docs_of(0)[3], "9:12") << "what is below the depth stays";
  const ScoredRun scores = read_scored_run(at("out.h5"));
  EXPECT_EQ(scores.run.doc_ids, run_.doc_ids);
  EXPECT_TRUE(at::equal(scores.run.scores, run_.scores));
  EXPECT_EQ(scores.run.info, run_.info);
  EXPECT_EQ(scores.depth(), 3);
  for (int64_t query = 0; query < 4; ++query) {
    const torch::Tensor falling = std::get<0>(scores.scores.pointwise[query].sort(0, /*descending=*/true));
    EXPECT_TRUE(at::equal(falling, fused.scores[query].narrow(0, 0, 3))) << "alpha 0 is the reranker's order";
  }
  EXPECT_THAT(read_text_file(at("out.txt")), StartsWith("9:1 Q0 9:1"));
  EXPECT_THAT(read_text_file(at("metrics.json")), HasSubstr("\"candidates_per_s\""));
}

TEST_F(RerankVerbTest, WritesTheSameBytesWithOneTwoAndThreeRanks) {
  const std::vector<std::string> options = {"--mode", "both", "--depth", "4", "--block-queries", "1"};
  ASSERT_EQ(scored(options).exit_code, 0);
  const std::string alone = read_text_file(at("out.h5"));
  for (const int ranks : {2, 3}) {
    const ProgramResult together = scored(options, ranks);
    ASSERT_EQ(together.exit_code, 0) << together.err;
    if (__builtin_cpu_supports("x86-64-v4")) {
      EXPECT_TRUE(read_text_file(at("out.h5")) == alone) << ranks << " ranks";
    }
  }
  if (!__builtin_cpu_supports("x86-64-v4"))
    GTEST_SKIP() << "this processor has no AVX-512: its products round by the number of rows, so bytes may differ";
}

TEST_F(RerankVerbTest, TheRetrieverAloneKeepsItsRun) {
  ASSERT_EQ(scored({"--depth", "5", "--fuse", "alpha=1"}).exit_code, 0);
  const trireme::Run fused = read_run(at("out.h5"));
  EXPECT_EQ(fused.doc_ids, run_.doc_ids);
  EXPECT_TRUE(at::equal(fused.scores, run_.scores));
}

TEST_F(RerankVerbTest, FusesAnewWithoutAModel) {
  ASSERT_EQ(scored({"--mode", "both", "--depth", "4", "--fuse", "0.25"}).exit_code, 0);
  const std::string at_once = read_text_file(at("out.h5"));
  ASSERT_EQ(scored({"--mode", "both", "--depth", "4", "--fuse", "1"}).exit_code, 0);
  const std::vector<std::string> again = {TRIREME_BINARY, "rerank", "--run", at("out.h5"), "--out",
                                          at("again.h5"), "--mode", "both",  "--fuse",     "0.25"};
  const ProgramResult ran = run_program(again);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("fused anew"));
  EXPECT_TRUE(read_text_file(at("again.h5")) == at_once);
}

TEST_F(RerankVerbTest, TakesWeightsFromTheFileBesideTheModel) {
  FusionFile file;
  file.modes["pointwise"] = {FusionForm::kAlpha, 0.75, {{"names", 0.25}}};
  write_fusion_file(at("rank/fusion.yaml"), file);
  for (const auto& [row, told] : {std::pair{"names", "alpha=0.25"}, std::pair{"pictures", "alpha=0.75"}}) {
    const ProgramResult ran = scored({"--depth", "5", "--fuse", "fitted", "--row", row});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_EQ(read_run(at("out.h5")).info.method, std::string("rerank pointwise, ") + told);
    fs::remove(at("out.h5"));
  }
  expect_refused(scored({"--depth", "5", "--mode", "listwise", "--fuse", "fitted"}), 2, {"fusion.yaml", "listwise"});
  fs::remove(at("rank/fusion.yaml"));
  expect_refused(scored({"--depth", "5", "--fuse", "fitted"}), 3, {"fusion.yaml"});
}

TEST_F(RerankVerbTest, ExportPutsTheWeightsBesideTheForms) {
  const fs::path golden = fs::path(TRIREME_TEST_DIR) / "golden/embed";
  benchmark_.write("fusion.yaml", "modes: {pointwise: {value: 0.7, by_row: {task4: 0.65}}}\n");
  for (int time = 0; time < 2; ++time) {
    const ProgramResult exported =
        run_program({TRIREME_BINARY, "export", "--model", golden / "model", "--adapter", golden / "adapter", "--out",
                     at("exported"), "--format", "adapter,merged", "--fusion", at("fusion.yaml")});
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
    for (const char* form : {"adapter", "merged"}) {
      const FusionConfig weights = read_fusion(at("exported") / form / kFusionFileName, RerankModes::kPointwise);
      EXPECT_EQ(weights.of_row("task4").value, 0.65);
      EXPECT_EQ(weights.of_row("").value, 0.7);
    }
  }
}

TEST_F(RerankVerbTest, TellsWhenTheRecordsAreNotThoseThatWereSearched) {
  EXPECT_THAT(scored({"--depth", "1"}).err, ::testing::Not(HasSubstr("searched with"))) << "the run does not say";
  run_.info.query_fingerprint.set(FingerprintPart::kRecords, "of others");
  write_run(at("run.h5"), run_);
  const ProgramResult ran = scored({"--depth", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("is not the file that the run was searched with: records differ"));
}

TEST_F(RerankVerbTest, RefusesARunOfAnotherCorpus) {
  run_.doc_ids[7] = "9:99";
  run_.doc_ids[10] = "9:98";
  write_run(at("run.h5"), run_);
  expect_refused(scored({"--depth", "5"}), 3, {"cand_pool/local/names.jsonl", "9:99", "1 others missing"});
  run_.query_ids[2] = "9:77";
  write_run(at("run.h5"), run_);
  expect_refused(scored({"--depth", "1"}), 3, {"query/test/names.jsonl", "9:77"});
  expect_refused(scored({"--depth", "1"}, 2), 3, {"9:77"});
}

TEST_F(RerankVerbTest, RefusesWhatItCannotRerank) {
  expect_refused(scored({}), 2, {"50 and 5", "--depth"});
  expect_refused(scored({"--depth", "6"}), 2, {"6 and 5"});
  expect_refused(scored({"--depth", "5", "--fuse", "1.5"}), 2, {"1.5"});
  expect_refused(scored({"--depth", "5", "--fuse", "half"}), 2, {"half", "alpha=0.5"});
  expect_refused(scored({"--depth", "5", "--mode", "pairwise"}), 2, {"pointwise, listwise, both"});
  expect_refused(rerank({"--depth", "5"}), 3, {"exact", "--model"});
  expect_refused(run_program({TRIREME_BINARY, "rerank", "--run", at("run.h5"), "--out", at("out.h5"), "--model",
                              at("rank"), "--depth", "5"}),
                 2, {"--queries"});
  const fs::path plain = fs::path(TRIREME_TEST_DIR) / "golden/embed/model";
  expect_refused(rerank({"--depth", "5", "--model", plain}), 3, {"\"Yes\"", "one token"});
  write_run(at("run.h5"), {{}, {}, at::zeros({0, 5}), run_.info});
  expect_refused(scored({"--depth", "1"}), 3, {"a candidate for every query", "0 queries with 5"});
}

}  // namespace
}  // namespace trireme
