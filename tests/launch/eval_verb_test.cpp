#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/json.h"
#include "tests/support/run_program.h"
#include "tests/support/toy_benchmark.h"

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

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

/// Runs the program itself on a tiny benchmark with the golden checkpoint.
class EvalVerbTest : public ::testing::Test {
 protected:
  EvalVerbTest() {
    fs::copy(kGolden / "images", at("images"));
    benchmark_.write("eval.yaml", fmt::format("out: {}\nlabel: tiny\nembed: {{model: {}}}\nbenchmark: {{root: {}}}\n"
                                              "metrics: {{depth: 10, bootstrap_samples: 200}}\n",
                                              at("out").string(), (kGolden / "model").string(), at("").string()));
  }

  fs::path at(const fs::path& name) const { return benchmark_.root() / name; }

  ProgramResult eval(std::vector<std::string> overrides = {}) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "eval", at("eval.yaml")};
    argv.insert(argv.end(), overrides.begin(), overrides.end());
    return run_program(argv);
  }

  ProgramResult eval_with_ranks(int ranks, std::vector<std::string> overrides) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "eval", at("eval.yaml")};
    argv.insert(argv.end(), overrides.begin(), overrides.end());
    argv = test::under_mpirun(TRIREME_MPIEXEC, ranks, argv);
    return run_program(argv, test::mpirun_environment());
  }

  std::string read(const fs::path& name) const { return read_text_file(at(name)); }

  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_THAT(ran.last_error_line(), StartsWith("error: "));
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
    EXPECT_FALSE(fs::exists(at("out/results.json")));
  }

  ToyBenchmark benchmark_;
};

TEST_F(EvalVerbTest, PrintsATableAndWritesResultsGalleryAndReport) {
  const ProgramResult ran = eval();
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("toys, test, each task in its own pool: tiny"), HasSubstr("the pool of all tasks"),
                    HasSubstr("R@10"), HasSubstr("nDCG@10"), HasSubstr("mean over rows")));
  EXPECT_THAT(ran.err, HasSubstr("16 records embedded")) << "pools that are part of another are not embedded again";
  EXPECT_THAT(read("out/results.json"),
              AllOf(HasSubstr("\"ndcg@10\""), HasSubstr("\"model_sha256\""), HasSubstr("\"instruction 1\"")));
  const std::string html = read("out/report.html");
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;i&gt;table&lt;/i&gt;"), Not(HasSubstr("<i>table</i>")),
                          HasSubstr("Drawn by &lt;nobody&gt;"), HasSubstr("Find the name.")));
}

TEST_F(EvalVerbTest, OneAndTwoRanksWriteTheSameResults) {
  ASSERT_EQ(eval().exit_code, 0);
  const std::string one = read("out/results.json");
  for (const int ranks : {2, 3}) {
    const ProgramResult ran = eval_with_ranks(ranks, {"embed.block_records=2"});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_EQ(read("out/results.json"), one);
  }
}

TEST_F(EvalVerbTest, KeepsEmbeddingsInAFolderAndUsesThemAgain) {
  ASSERT_EQ(eval().exit_code, 0);
  const std::string in_memory = read("out/results.json");
  const std::string folder = "embeddings=" + at("kept").string();
  for (const char* taken : {"(0 taken", "(16 taken"}) {
    const ProgramResult ran = eval_with_ranks(2, {folder});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(taken));
    EXPECT_EQ(read("out/results.json"), in_memory);
  }
  const ProgramResult other = eval({folder, "queries.prompt_number=2"});
  EXPECT_THAT(other.err, AllOf(HasSubstr("(9 taken"), HasSubstr("instructions differ")))
      << "other instructions are other embeddings of the 7 queries, not of candidates";
}

TEST_F(EvalVerbTest, SkipsRecordsThatCannotBeEmbedded) {
  benchmark_.write("images/wide.png", "no image at all");
  expect_refused(eval(), 3, {"wide.png"});
  // The picture is query 9:6 and document 9:22, which is relevant to 9:5, of the pictures and of the pool of all.
  ASSERT_EQ(eval({"on_error=skip"}).exit_code, 0);
  const std::string one = read("out/results.json");
  EXPECT_THAT(one, HasSubstr("\"9:6\""));
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"embeddings=" + at("kept").string()}, {"embeddings=" + at("kept").string()}}) {
    std::vector<std::string> overrides = {"on_error=skip", "embed.block_records=2"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    const ProgramResult ran = eval_with_ranks(2, overrides);
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_EQ(read("out/results.json"), one);
    EXPECT_THAT(ran.err, AllOf(HasSubstr("9:6 was left out: ["), HasSubstr("wide.png"),
                               HasSubstr("2 records could not be read"), HasSubstr("1 relevant documents")));
  }
  const nlohmann::json results = parse_json(one);
  EXPECT_EQ(results.at("skipped"), nlohmann::json::array({"9:22", "9:6"}));
  const nlohmann::json& task = results.at("results").at("tasks").at(1);
  EXPECT_EQ(task.at("queries"), 2);
  EXPECT_EQ(task.at("pools").at("local").at("candidates"), 2);
  EXPECT_EQ(eval({"embeddings=" + at("kept").string()}).exit_code, 3) << "kept files with gaps are for skip alone";
}

TEST_F(EvalVerbTest, TakesQueriesWhoseModalityContradictsThemWhenAllowed) {
  benchmark_.write("instructions/query_instructions.tsv",
                   read("instructions/query_instructions.tsv") + "image,text\ttext\ttoys\t9\tName it.\t\n");
  benchmark_.write("query/test/names.jsonl",
                   read("query/test/names.jsonl").substr(0, read("query/test/names.jsonl").find('\n') + 1) +
                       R"({"qid": "9:2", "query_txt": "", "query_img_path": "images/small.png", "query_modality": )"
                       R"("image,text", "task_id": 1})"
                       "\n");
  benchmark_.write("qrels/test/names.txt", "9:1 0 9:11 1 1\n9:2 0 9:12 1 1\n");
  benchmark_.write("qrels/test/names_global.txt", "9:1 0 9:11 1 1\n9:2 0 9:12 1 1\n");
  std::string tasks = ToyBenchmark::kTasks;
  tasks.replace(tasks.find("queries: 4"), 10, "queries: 2");
  benchmark_.write("tasks.yaml", tasks);
  expect_refused(eval(), 3, {"names.jsonl:2", "allow_modality_mismatch"});
  const ProgramResult ran = eval({"benchmark.allow_modality_mismatch=true"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("the modality of 1 records contradicts what they hold"));
}

TEST_F(EvalVerbTest, EvaluatesUnderMbeirsOwnFileNames) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"query/test/names.jsonl", "query/test/mbeir_webqa_task1_test.jsonl"},
           {"cand_pool/local/names.jsonl", "cand_pool/local/mbeir_webqa_task1_cand_pool.jsonl"},
           {"cand_pool/global/all.jsonl", "cand_pool/global/mbeir_union_test_cand_pool.jsonl"},
           {"qrels/test/names.txt", "qrels/test/mbeir_webqa_task1_test_qrels.txt"}})
    fs::copy(at(from), at(to));
  const fs::path published = fs::path(TRIREME_TEST_DIR).parent_path() / "experiments/lamra/mbeir_published.yaml";
  const ProgramResult ran =
      eval({"benchmark.layout=mbeir", "benchmark.tasks=[webqa_task1]", "published=" + published.string()});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("M-BEIR, test"), HasSubstr("WebQA text -> text"), HasSubstr("96.7")));
  EXPECT_THAT(read("out/report.html"), AllOf(HasSubstr("Beside published numbers"), HasSubstr("UniIR CLIP_SF")));
  const ProgramResult absent = eval({"benchmark.layout=mbeir"});
  EXPECT_EQ(absent.exit_code, 3);
  EXPECT_THAT(absent.last_error_line(), HasSubstr("mbeir_visualnews_task0_test.jsonl"));
}

TEST_F(EvalVerbTest, RefusesBeforeWeightsAreRead) {
  benchmark_.write("qrels/test/names.txt", "9:1 0 9:11\n");
  expect_refused(eval(), 3, {"names.txt:1"});
  expect_refused(eval({"benchmark.tasks=[nams_test]"}), 2, {"did you mean names_test?"});
  expect_refused(eval({"metrics.depth=3"}), 2, {"[metrics] depth", "recall@5"});
  expect_refused(eval({"embed.modl=x"}), 2, {"embed.modl", "embed.model"});
  expect_refused(eval({"benchmark.root=/nowhere"}), 3, {"tasks.yaml"});
  expect_refused(run_program({TRIREME_BINARY, "eval", at("none.yaml")}), 3, {"none.yaml"});
}

TEST_F(EvalVerbTest, HelpTellsTheKeysOfItsFile) {
  const ProgramResult ran = run_program({TRIREME_BINARY, "eval", "--help"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("rope_mode"), HasSubstr("allow_missing_positives"), HasSubstr("bootstrap_samples")));
}

TEST_F(EvalVerbTest, ReportJoinsEvaluationsAndCurves) {
  ASSERT_EQ(eval({"out=" + at("run/eval/a").string(), "label=before"}).exit_code, 0);
  ASSERT_EQ(eval({"out=" + at("run/eval/b").string(), "label=after"}).exit_code, 0);
  benchmark_.write("run/metrics.jsonl", "{\"step\":1,\"train/loss\":2}\n{\"step\":2,\"train/loss\":1}\n");
  const ProgramResult ran = run_program({TRIREME_BINARY, "report", at("run")});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(read("run/report.html"), AllOf(HasSubstr("before"), HasSubstr("after"), HasSubstr("train/loss")));
  expect_refused(run_program({TRIREME_BINARY, "report", at("run"), at("run/eval/a")}), 2, {"--out"});
  expect_refused(run_program({TRIREME_BINARY, "report", at("images")}), 3, {"results.json"});
}

}  // namespace
}  // namespace trireme
