#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/embeddings_file.h"
#include "core/io/file.h"
#include "tests/launch/toy_run.h"
#include "tests/support/editable_folder.h"
#include "tests/support/run_program.h"
#include "tests/support/toy_benchmark.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::EditableFolder;
using test::ProgramResult;
using test::run_program;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

/// The program itself on copies of the golden checkpoint and adapter that are changed between one use and the next.
class FingerprintVerbTest : public ::testing::Test {
 protected:
  FingerprintVerbTest() {
    fs::copy(kGolden / "images", at("images"));
    benchmark_.write("records.jsonl", "{\"id\": \"a\", \"txt\": \"one\"}\n{\"id\": \"b\", \"txt\": \"two\"}\n");
  }
  fs::path at(const fs::path& name) const { return benchmark_.root() / name; }

  void embed(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {TRIREME_BINARY,  "embed",     "--model",           model_.path(), "--adapter",
                                     adapter_.path(), "--records", at("records.jsonl"), "--out",       at(out)};
    argv.insert(argv.end(), more.begin(), more.end());
    const ProgramResult ran = run_program(argv);
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
  }
  ProgramResult search(std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "search", "--queries",  at("q.h5"), "--corpus",
                                     at("c.h5"),     "--out",  at("run.h5"), "--k",      "1"};
    argv.insert(argv.end(), more.begin(), more.end());
    return run_program(argv);
  }
  /// Of the benchmark, with embeddings kept in `kept`.
  ProgramResult eval(const std::string& kept, const std::string& out) const {
    benchmark_.write("eval.yaml", fmt::format("out: {}\nlabel: tiny\nembed: {{model: {}, adapter: {}}}\n"
                                              "benchmark: {{root: {}}}\nembeddings: {}\n"
                                              "metrics: {{depth: 10, bootstrap_samples: 0}}\n",
                                              at(out).string(), model_.path().string(), adapter_.path().string(),
                                              at("").string(), at(kept).string()));
    ProgramResult ran = run_program({TRIREME_BINARY, "eval", at("eval.yaml")});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran;
  }
  void set_lora_alpha(int alpha) const {
    adapter_.edit_json("adapter_config.json", [&](auto& json) { json["lora_alpha"] = alpha; });
  }
  void change_tokenizer() const {
    model_.write("tokenizer.json", read_text_file(model_.path() / "tokenizer.json") + "\n");
  }

  test::ToyBenchmark benchmark_;
  EditableFolder model_{kGolden / "model"}, adapter_{kGolden / "adapter"};
};

TEST_F(FingerprintVerbTest, SearchRefusesQueriesOfAnotherAdapterConfigurationOrTokenizer) {
  embed("c.h5");
  set_lora_alpha(64);
  embed("q.h5");
  const ProgramResult alpha = search();
  EXPECT_EQ(alpha.exit_code, 3);
  EXPECT_EQ(alpha.error_lines(), 1) << alpha.err;
  EXPECT_THAT(alpha.last_error_line(), AllOf(HasSubstr("the same adapter configuration;"), HasSubstr("q.h5")));
  EXPECT_EQ(search({"--may-differ", "adapter_configuration"}).exit_code, 0);
  set_lora_alpha(8);
  change_tokenizer();
  embed("q.h5");
  EXPECT_THAT(search().last_error_line(), HasSubstr("the same tokenizer;"));
  embed("c.h5", {"--max-pixels", "6272"});
  EXPECT_EQ(search().exit_code, 0) << "texts do not follow from pixel limits";
  embed("c.h5", {"--system-prompt", "You are a librarian."});
  EXPECT_THAT(search().last_error_line(), HasSubstr("the same system prompt;"));
  EXPECT_EQ(search({"--may-differ", "system_prompt"}).exit_code, 0);
  EXPECT_EQ(search({"--may-differ", "sytem_prompt"}).exit_code, 2);
}

TEST_F(FingerprintVerbTest, InspectShowsWhatAFileFollowsFrom) {
  embed("c.h5");
  embed("q.h5");
  ASSERT_EQ(search().exit_code, 0);
  for (const char* file : {"c.h5", "run.h5"})
    EXPECT_THAT(run_program({TRIREME_BINARY, "inspect", at(file)}).out,
                AllOf(HasSubstr("adapter configuration"), HasSubstr("rope mode"), HasSubstr("mrope")));
}

TEST_F(FingerprintVerbTest, EvalEmbedsAnewWhatFollowsFromWhatChangedAndSaysWhy) {
  EXPECT_THAT(eval("kept", "first").err, HasSubstr("(0 taken"));
  EXPECT_THAT(eval("kept", "again").err, AllOf(HasSubstr("(16 taken"), Not(HasSubstr("anew"))));
  set_lora_alpha(64);
  EXPECT_THAT(eval("kept", "changed").err, AllOf(HasSubstr("(0 taken"), HasSubstr("adapter configuration differs")));
  eval("fresh", "fresh");
  EXPECT_EQ(read_text_file(at("changed/results.json")), read_text_file(at("fresh/results.json")));
  EXPECT_NE(read_text_file(at("changed/results.json")), read_text_file(at("first/results.json")));

  // Pictures: the files of texts alone stay.
  benchmark_.write("images/small.png", read_text_file(at("images/wide.png")));
  EXPECT_THAT(eval("kept", "pictures").err, AllOf(HasSubstr("pictures differ"), HasSubstr("(4 taken")));
  model_.edit_json("preprocessor_config.json", [](auto& json) { json["image_mean"] = {0.5, 0.5, 0.5}; });
  EXPECT_THAT(eval("kept", "mean").err, AllOf(HasSubstr("image processor differs"), HasSubstr("(4 taken")));
  model_.edit_json("config.json", [](auto& json) { json["rope_theta"] = 10000.0; });
  EXPECT_THAT(eval("kept", "rope").err, AllOf(HasSubstr("model configuration differs"), HasSubstr("(0 taken")));
}

class FingerprintOfRuns : public test::ToyRun {};

TEST_F(FingerprintOfRuns, ARunGoesOnFromTheSameBaseOnly) {
  ASSERT_EQ(train({"train.steps=2"}).exit_code, 0);
  const std::string state = read_text_file(at("run/checkpoints/step_000002/state.json"));
  EXPECT_THAT(state, HasSubstr("\"model_configuration\""));
  const std::string tokenizer = read_text_file(at("model/tokenizer.json"));
  folder_.write("model/tokenizer.json", tokenizer + "\n");
  const std::vector<std::string> more = {"train.steps=3", "resume.allow=[train.steps]"};
  expect_refused(train(more), 2, {"tokenizer differs", "bring the same files"});
  const ProgramResult exported = run_program({TRIREME_BINARY, "export", "--run", at("run"), "--format", "merged"});
  EXPECT_EQ(exported.exit_code, 3);
  EXPECT_THAT(exported.last_error_line(), HasSubstr("tokenizer differs"));
  folder_.write("model/tokenizer.json", tokenizer);
  EXPECT_EQ(train(more).exit_code, 0);
}

}  // namespace
}  // namespace trireme
