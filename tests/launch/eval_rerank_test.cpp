#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "retrieval/report/results.h"
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
using ::testing::StartsWith;

/// Runs the program itself on the toy benchmark, whose queries stand for the validation split too.
class EvalRerankVerbTest : public ::testing::Test {
 protected:
  EvalRerankVerbTest() {
    const fs::path golden = fs::path(TRIREME_TEST_DIR) / "golden/embed";
    fs::copy(golden / "images", at("images"));
    test::write_toy_reranker(at("rank"));
    benchmark_.write("eval.yaml",
                     fmt::format("out: {0}/out\nlabel: Ret\nembed: {{model: {1}}}\nbenchmark: {{root: {0}}}\n"
                                 "metrics: {{depth: 5, names: [recall@1, recall@5], bootstrap_samples: 50}}\n"
                                 "rerank:\n  reranker: {{model: {0}/rank, block_queries: 1}}\n  depth: 4\n"
                                 "  listwise_depth: 3\n  modes: [pointwise, listwise, both]\n",
                                 at("").string(), (golden / "model").string()));
    std::string tasks(ToyBenchmark::kTasks);
    const std::string test_tasks = tasks.substr(tasks.find("  - {id: names_test"));
    std::string val = test_tasks;
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"names_test", "names_val"},
                                   {"pictures_test", "pictures_val"},
                                   {"split: test", "split: val"}})
      for (std::size_t place = val.find(from); place != std::string::npos; place = val.find(from, place + to.size()))
        val.replace(place, from.size(), to);
    benchmark_.write("tasks.yaml", tasks + val);
  }

  fs::path at(const fs::path& name) const { return benchmark_.root() / name; }
  std::string read(const fs::path& name) const { return read_text_file(at(name)); }

  ProgramResult eval(std::vector<std::string> overrides = {}, int ranks = 1) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "eval", at("eval.yaml")};
    argv.insert(argv.end(), overrides.begin(), overrides.end());
    if (ranks > 1) argv = test::under_mpirun(TRIREME_MPIEXEC, ranks, argv);
    return run_program(argv, test::mpirun_environment());
  }

  ToyBenchmark benchmark_;
};

TEST_F(EvalRerankVerbTest, PutsTheRerankedColumnsBesideTheRetrievers) {
  const ProgramResult ran = eval();
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr(" Ret  + pointwise  + listwise  + both"), HasSubstr("mean over rows")));
  EXPECT_THAT(ran.err, HasSubstr("candidates reranked"));
  const EvalResults retriever = read_results(at("out/results.json"));
  EXPECT_FALSE(retriever.reranked_by.has_value());
  const EvalResults listwise = read_results(at("out/2_listwise/results.json"));
  EXPECT_EQ(listwise.label, "Ret + listwise");
  EXPECT_EQ(listwise.reranked_by.value().depth, 3);
  EXPECT_EQ(listwise.reranked_by->fusion, "alpha=0.5");
  EXPECT_THAT(read("out/report.html"), AllOf(HasSubstr("Ret + pointwise"), HasSubstr("Ret + both")));
  ASSERT_EQ(run_program({TRIREME_BINARY, "report", at("out")}).exit_code, 0);
  EXPECT_THAT(read("out/report.html"), AllOf(HasSubstr("Ret + pointwise"), HasSubstr("Ret + both")));
}

TEST_F(EvalRerankVerbTest, OneAndTwoRanksWriteTheSameFiles) {
  // The last bits of a picture's features depend on the threads that share a product.
  const std::vector<std::string> options = {"--threads", "1", "rerank.fit.split=val", "rerank.position_bias=true",
                                            "rerank.runs=" + at("runs").string()};
  ASSERT_EQ(eval(options).exit_code, 0);
  const std::vector<std::string> names = {"out/results.json",           "out/1_pointwise/results.json",
                                          "out/3_both/results.json",    "out/fusion.yaml",
                                          "out/position_bias.json",     "runs/names_test.pointwise.h5",
                                          "runs/pictures_test.both.h5", "runs/names_test.global.listwise.h5"};
  std::vector<std::string> alone;
  for (const std::string& name : names) alone.push_back(read(name));
  const ProgramResult together = eval(options, 2);
  ASSERT_EQ(together.exit_code, 0) << together.err;
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(read(names[i]) == alone[i]) << names[i];
  const RunInfo retriever = read_scored_run(at("runs/pictures_test.both.h5")).run.info;
  EXPECT_EQ(retriever.candidates, 2) << "the pool's 3 less the one that every query leaves out";
  EXPECT_EQ(retriever.model_sha256, read_results(at("out/results.json")).model_sha256);
}

TEST_F(EvalRerankVerbTest, FitsWeightsOnAnotherSplitAndUsesThem) {
  const ProgramResult fitted = eval({"rerank.fit.split=val", "rerank.fit.out=" + at("rank/fusion.yaml").string()});
  ASSERT_EQ(fitted.exit_code, 0) << fitted.err;
  EXPECT_THAT(fitted.out, HasSubstr("fitted on toys, val"));
  const FusionFile file = read_fusion_file(at("rank/fusion.yaml"));
  EXPECT_EQ(file.metric, "recall@1");
  EXPECT_EQ(file.fitted.size(), 9u) << "three modes, two rows and all";
  for (const FittedRow& row : file.fitted) EXPECT_GE(row.value, row.retriever_value);
  // The same queries: what was fitted is what comes out, and as read from the file.
  const EvalResults pointwise = read_results(at("out/1_pointwise/results.json"));
  EXPECT_DOUBLE_EQ(pointwise.table.rows[0].local->find("recall@1")->value, file.fitted[1].value);
  // Tasks are kept by their rows there, since they have other names.
  ASSERT_EQ(eval({"rerank.fit.split=val", "benchmark.tasks=[names_test]"}).exit_code, 0);
  EXPECT_EQ(read_fusion_file(at("out/fusion.yaml")).fitted.size(), 6u);
  ASSERT_EQ(eval({"rerank.fuse_file=" + at("rank/fusion.yaml").string()}).exit_code, 0);
  EXPECT_EQ(read_results(at("out/1_pointwise/results.json")).table, pointwise.table);
}

TEST_F(EvalRerankVerbTest, MeasuresThePositionBias) {
  const ProgramResult ran = eval({"rerank.position_bias=true", "queries.pools=[local]"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("names_test: position bias over 4 queries, 3 candidates, 6 orders each"),
                             HasSubstr("pictures_test: position bias over 3 queries, 2 candidates, 2 orders each")));
  EXPECT_THAT(read("out/position_bias.json"), AllOf(HasSubstr("\"names_test\""), HasSubstr("\"consistency\"")));
}

TEST_F(EvalRerankVerbTest, RefusesBeforeWeightsAreRead) {
  const auto refused = [&](const std::vector<std::string>& overrides, int exit_code, const std::string& part) {
    const ProgramResult ran = eval(overrides);
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_THAT(ran.last_error_line(), AllOf(StartsWith("error: "), HasSubstr(part)));
    EXPECT_FALSE(fs::exists(at("out/results.json")));
  };
  const std::string plain = (fs::path(TRIREME_TEST_DIR) / "golden/embed/model").string();
  refused({"rerank.reranker.model=" + plain}, 3, "\"Yes\"");
  refused({"rerank.depth=6"}, 2, "6 and 5");
  refused({"rerank.fuse_file=" + at("none.yaml").string()}, 3, "none.yaml");
  refused({"rerank.fit.metric=recal@1"}, 2, "recal@1");
  refused({"rerank.fit.metric=recall@10"}, 2, "rerank.fit.metric, recall@10; got 5");
  refused({"rerank.fit.split=test"}, 2, "fit.split");
}

}  // namespace
}  // namespace trireme
