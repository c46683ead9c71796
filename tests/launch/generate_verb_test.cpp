#include <nlohmann/json.hpp>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/json.h"
#include "tests/support/run_program.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ProgramResult;
using test::run_program;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

/// Runs the program itself on the golden checkpoint.
class GenerateVerbTest : public ::testing::Test {
 protected:
  GenerateVerbTest() { fs::copy(kGolden, folder_.path(), fs::copy_options::recursive); }

  fs::path at(const fs::path& name) const { return folder_.path() / name; }

  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {TRIREME_BINARY, "generate",          "--model",          at("model"),
                                     "--records",    at("records.jsonl"), "--image-root",     at("images"),
                                     "--out",        at("out.jsonl"),     "--max-new-tokens", "6"};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  ProgramResult generate(std::vector<std::string> more = {}) const { return run_program(arguments(std::move(more))); }

  /// The text of the file that a run writes.
  std::string written(const std::vector<std::string>& more = {}) const {
    const ProgramResult ran = generate(more);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return read_text_file(at("out.jsonl"));
  }

  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      EXPECT_THAT(entry.path().filename().string(), ::testing::Not(StartsWith("out.jsonl")));
  }

  /// What the first record becomes with so many tokens.
  json first_line(const std::string& max_new_tokens, std::vector<std::string> more = {}) const {
    auto argv = arguments(std::move(more));
    argv[11] = max_new_tokens;
    const ProgramResult ran = run_program(argv);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    const std::string text = read_text_file(at("out.jsonl"));
    return parse_json(text.substr(0, text.find('\n')));
  }

  /// The tokenizer calls a token of its vocabulary special from now on.
  void make_special(int64_t id) const {
    json tokenizer = parse_json(read_text_file(at("model/tokenizer.json")));
    for (const auto& [token, place] : tokenizer["model"]["vocab"].items()) {
      if (place != id) continue;
      tokenizer["added_tokens"].push_back({{"id", id},
                                           {"content", token},
                                           {"single_word", false},
                                           {"lstrip", false},
                                           {"rstrip", false},
                                           {"normalized", false},
                                           {"special", true}});
    }
    folder_.write("model/tokenizer.json", dump_json(tokenizer));
  }

  TempFolder folder_;
};

const std::vector<std::string> kSampled = {"--temperature", "1.5", "--top-k", "40", "--top-p", "0.95", "--seed", "3"};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<json> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line));
  return lines;
}

TEST_F(GenerateVerbTest, WritesALineForEachRecordInTheFilesOrder) {
  const auto lines = lines_of(written());
  std::vector<std::string> ids;
  for (const json& line : lines) {
    ids.push_back(line.at("id"));
    EXPECT_THAT(line.at("tokens"), SizeIs(::testing::Le(6U)));
    EXPECT_THAT(line.at("finish").get<std::string>(), AnyOf("stop", "length"));
    EXPECT_LT(line.at("log_probability").get<double>(), 0);
    EXPECT_TRUE(line.at("text").is_string());
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"text", "image", "both", "unicode", "small", "again", "long"}));
}

/// The same lines, but for the last digits of log-probabilities.
void expect_same_lines(const std::string& ours, const std::string& expected) {
  auto own = lines_of(ours), wanted = lines_of(expected);
  ASSERT_EQ(own.size(), wanted.size());
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double value = own[i].at("log_probability"), other = wanted[i].at("log_probability");
    EXPECT_NEAR(value, other, 1e-4);
    own[i].erase("log_probability"), wanted[i].erase("log_probability");
    EXPECT_EQ(own[i], wanted[i]);
  }
}

TEST_F(GenerateVerbTest, RanksBatchesAndThreadsWriteTheSameTexts) {
  const std::string one = written(kSampled);
  expect_same_lines(written(joined(kSampled, {"--batch-tokens", "1", "--loader-threads", "2", "--threads", "1"})), one);
  for (const int ranks : {2, 9}) {  // nine ranks: more than records
    const auto argv = test::under_mpirun(TRIREME_MPIEXEC, ranks,
                                         arguments(joined(kSampled, {"--block-records", "2", "--threads", "1"})));
    const ProgramResult ran = run_program(argv, test::mpirun_environment());
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    expect_same_lines(read_text_file(at("out.jsonl")), one);
  }
}

TEST_F(GenerateVerbTest, SeedAdapterAndPromptChangeTheTexts) {
  const std::string sampled = written(kSampled), greedy = written();
  EXPECT_EQ(written(kSampled), sampled);
  EXPECT_NE(written({"--temperature", "1.5", "--top-k", "40", "--top-p", "0.95", "--seed", "4"}), sampled);
  EXPECT_EQ(written({"--seed", "4"}), greedy) << "greedy choice draws nothing";
  EXPECT_NE(written({"--adapter", at("adapter")}), greedy);
  EXPECT_NE(written({"--prompt", "lamra"}), greedy);
}

TEST_F(GenerateVerbTest, EndsAtTheCheckpointsEndTokens) {
  const auto free = lines_of(written());
  const int64_t end = free.front().at("tokens").at(1);
  folder_.write("model/generation_config.json", fmt::format(R"({{"eos_token_id": [{}, 300]}})", end));
  const auto ended = lines_of(written());
  EXPECT_EQ(ended.front().at("finish"), "stop");
  EXPECT_EQ(ended.front().at("tokens").back(), end);
  EXPECT_LE(ended.front().at("tokens").size(), 2U);
}

TEST_F(GenerateVerbTest, AnEndTokenIsInNoTextWhetherSpecialOrNot) {
  const json one = first_line("1", kSampled), two = first_line("2", kSampled);
  ASSERT_EQ(two.at("tokens").at(0), one.at("tokens").at(0));
  ASSERT_NE(two.at("tokens").at(1), two.at("tokens").at(0));
  ASSERT_NE(two.at("text"), one.at("text")) << "the second token has a text of its own";
  const int64_t end = two.at("tokens").at(1);
  folder_.write("model/generation_config.json", fmt::format(R"({{"eos_token_id": {}}})", end));
  for (const bool special : {false, true}) {
    if (special) make_special(end);
    for (const char* keeps : {"--no-keep-special-tokens", "--keep-special-tokens"}) {
      const json ended = first_line("6", joined(kSampled, {keeps}));
      EXPECT_EQ(ended.at("tokens"), two.at("tokens"));
      EXPECT_EQ(ended.at("finish"), "stop");
      EXPECT_EQ(ended.at("text"), one.at("text")) << special << " " << keeps;
    }
  }
}

TEST_F(GenerateVerbTest, OtherSpecialTokensAreInTheTextWhenAskedFor) {
  const json before = first_line("3", kSampled), one = first_line("1", kSampled);
  make_special(before.at("tokens").at(1));
  const json kept = first_line("3", joined(kSampled, {"--keep-special-tokens"})), without = first_line("3", kSampled);
  EXPECT_EQ(without.at("tokens"), before.at("tokens"));
  EXPECT_EQ(kept.at("tokens"), before.at("tokens"));
  EXPECT_EQ(kept.at("text"), before.at("text"));
  EXPECT_NE(without.at("text"), before.at("text"));
  EXPECT_THAT(without.at("text").get<std::string>(), StartsWith(one.at("text").get<std::string>()));
}

TEST_F(GenerateVerbTest, RefusesWrongOptionsAndKeepsTheOldFile) {
  expect_refused(generate({"--temperature", "-1"}), 2, {"--temperature", "at least 0"});
  expect_refused(generate({"--top-p", "1.5"}), 2, {"--top-p", "between 0 and 1"});
  expect_refused(generate({"--adapter", at("none")}), 3, {"none"});
  auto argv = arguments();
  argv[11] = "0";
  expect_refused(run_program(argv), 2, {"--max-new-tokens", "at least 1"});
  argv = arguments();
  argv[7] = at("nowhere");
  expect_refused(run_program(argv), 3, {"records.jsonl:2", "nowhere"});
  folder_.write("model/generation_config.json", R"({"eos_token_id": [99999]})");
  expect_refused(generate(), 2, {"stop tokens", "99999"});
  folder_.write("model/generation_config.json", R"({"eos_token_id": "end"})");
  expect_refused(generate(), 3, {"generation_config.json", "eos_token_id"});
  fs::remove(at("model/generation_config.json"));

  folder_.write("out.jsonl", "old\n");
  fs::remove(at("images/wide.png"));
  const ProgramResult ran = generate();
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.last_error_line(), AllOf(HasSubstr("records.jsonl:3"), HasSubstr("wide.png")));
  EXPECT_EQ(read_text_file(at("out.jsonl")), "old\n");
}

}  // namespace
}  // namespace trireme
