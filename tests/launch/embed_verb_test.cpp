#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/max.h>

#include "core/io/embeddings_file.h"
#include "core/io/file.h"
#include "core/io/safetensors.h"
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
using ::testing::StartsWith;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

/// Runs the program itself on the golden checkpoint, or on a broken copy of it.
class EmbedVerbTest : public ::testing::Test {
 protected:
  EmbedVerbTest() { fs::copy(kGolden, folder_.path(), fs::copy_options::recursive); }

  fs::path at(const fs::path& name) const { return folder_.path() / name; }

  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {TRIREME_BINARY,      "embed",        "--model",    at("model"), "--records",
                                     at("records.jsonl"), "--image-root", at("images"), "--out",     at("e.h5")};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  ProgramResult embed(std::vector<std::string> more = {}) const { return run_program(arguments(std::move(more))); }

  ProgramResult embed_with_ranks(int ranks, std::vector<std::string> more = {}) const {
    const auto argv = test::under_mpirun(TRIREME_MPIEXEC, ranks, arguments(std::move(more)));
    return run_program(argv, test::mpirun_environment());
  }

  /// Expects one error line, last on stderr, that holds all of `parts`, the exit code, and no trace of an output.
  void expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
    EXPECT_THAT(ran.last_error_line(), StartsWith("error: "));
    EXPECT_EQ(ran.error_lines(), 1) << ran.err;
    for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      EXPECT_THAT(entry.path().filename().string(), ::testing::Not(StartsWith("e.h5")));
    }
  }

  void replace_in(const fs::path& name, const std::string& from, const std::string& to) const {
    std::string text = read_text_file(at(name));
    const auto begin = text.find(from);
    ASSERT_NE(begin, std::string::npos) << from;
    text.replace(begin, from.size(), to);
    folder_.write(name, text);
  }

  TempFolder folder_;
};

torch::Tensor golden(const std::string& name) {
  const SafetensorsFile file(kGolden / "expected.safetensors");
  return file.tensor(*file.find(name)).clone();
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) { return (a - b).abs().max().item<double>(); }

constexpr double kFloat32Tolerance = 2e-6;

TEST_F(EmbedVerbTest, EqualsTransformersInBothRopeModesAndWithAnAdapter) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> runs = {
      {"mrope", {}}, {"oned", {"--rope-mode", "oned"}}, {"adapter", {"--adapter", at("adapter")}}};
  for (const auto& [name, options] : runs) {
    const ProgramResult ran = embed(options);
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    const EmbeddingsReader file(at("e.h5"));
    EXPECT_EQ(file.read_ids(0, file.rows()),
              (std::vector<std::string>{"text", "image", "both", "unicode", "small", "again", "long"}));
    EXPECT_LT(largest_difference(file.read(0, file.rows()), golden(name)), kFloat32Tolerance) << name;
    EXPECT_EQ(file.info().rope_mode, name == "oned" ? "oned" : "mrope");
    EXPECT_EQ(file.info().adapter_sha256.empty(), name != "adapter");
  }
}

TEST_F(EmbedVerbTest, Bfloat16IsCloseToFloat32) {
  ASSERT_EQ(embed({"--dtype", "bfloat16"}).exit_code, 0);
  const EmbeddingsReader file(at("e.h5"));
  EXPECT_GT((file.read(0, file.rows()) * golden("mrope")).sum(1).min().item<double>(), 0.999);
}

TEST_F(EmbedVerbTest, MemoryDoesNotGrowWithTheRecords) {
  const auto peak_kib = [&](int records) {
    std::string lines;
    for (int i = 0; i < records; ++i)
      lines += fmt::format(R"({{"id": "{}", "img_path": "gradient.png"}})"
                           "\n",
                           i);
    folder_.write("records.jsonl", lines);
    const ProgramResult ran = embed({"--batch-tokens", "256"});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran.peak_rss_kib;
  };
  const long few = peak_kib(100);
  constexpr long kMoreRecords = 1900;
  const long growth_kib = peak_kib(100 + kMoreRecords) - few;
  // The patches alone are 110 KiB a picture: kept, they would be over 200 MiB.
  EXPECT_LT(growth_kib, 16 * 1024) << "from " << few << " KiB";
}

TEST_F(EmbedVerbTest, RanksWriteTheSameRowsAsOne) {
  ASSERT_EQ(embed({"--block-records", "2"}).exit_code, 0);
  const torch::Tensor one = EmbeddingsReader(at("e.h5")).read(0, 7);
  const auto ids = EmbeddingsReader(at("e.h5")).read_ids(0, 7);
  for (int ranks : {2, 3, 9}) {  // nine ranks: more than records
    const ProgramResult ran = embed_with_ranks(ranks, {"--block-records", "2", "--threads", "1"});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    const EmbeddingsReader file(at("e.h5"));
    EXPECT_LT(largest_difference(file.read(0, 7), one), 1e-6);
    EXPECT_EQ(file.read_ids(0, 7), ids);
    EXPECT_FALSE(fs::exists(at("e.h5.part-0")));
  }
}

TEST_F(EmbedVerbTest, AFailingRankSpeaksOnceAndEndsTheJob) {
  fs::remove(at("images/wide.png"));
  const ProgramResult ran = embed_with_ranks(2, {"--block-records", "2"});
  expect_refused(ran, 3, {"rank 1/2", "wide.png"});
}

TEST_F(EmbedVerbTest, ReplacesAnOldFileOnSuccessOnly) {
  folder_.write("e.h5", "old");
  replace_in("records.jsonl", "small.png", "none.png");
  EXPECT_EQ(embed().exit_code, 3);
  EXPECT_EQ(read_text_file(at("e.h5")), "old");
  replace_in("records.jsonl", "none.png", "small.png");
  EXPECT_EQ(embed().exit_code, 0);
  EXPECT_EQ(EmbeddingsReader(at("e.h5")).rows(), 7);
}

TEST_F(EmbedVerbTest, RefusesBrokenCheckpoints) {
  fs::remove(at("model/config.json"));
  expect_refused(embed(), 3, {"config.json"});
  fs::copy(kGolden / "model/config.json", at("model/config.json"));

  replace_in("model/config.json", "\"qwen2_vl\"", "\"llama\"");
  expect_refused(embed(), 3, {"model_type", "llama", "qwen2_5_vl"});
  replace_in("model/config.json", "\"llama\"", "\"qwen2_vl\"");

  replace_in("model/config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
  expect_refused(embed(), 3, {"model.layers.2."});
  replace_in("model/config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 1");
  expect_refused(embed(), 3, {"model.layers.1."});
  replace_in("model/config.json", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2");

  replace_in("model/config.json", "\"intermediate_size\": 48", "\"intermediate_size\": 50");
  expect_refused(embed(), 4, {"[48, 32]", "[50, 32]"});
  replace_in("model/config.json", "\"intermediate_size\": 50", "\"intermediate_size\": 48");

  fs::resize_file(at("model/model.safetensors"), 100'000);
  expect_refused(embed(), 3, {"model.safetensors"});
  fs::remove(at("model/model.safetensors"));
  expect_refused(embed(), 3, {"model.safetensors"});
}

TEST_F(EmbedVerbTest, RefusesBrokenTokenizersAndPreprocessors) {
  replace_in("model/tokenizer.json", "\"NFC\"", "\"Precompiled\"");
  expect_refused(embed(), 3, {"tokenizer.json", "Precompiled"});
  fs::remove(at("model/tokenizer.json"));
  expect_refused(embed(), 3, {"tokenizer.json"});
  fs::copy(kGolden / "model/tokenizer.json", at("model/tokenizer.json"));
  fs::remove(at("model/preprocessor_config.json"));
  expect_refused(embed(), 3, {"preprocessor_config.json"});
}

TEST_F(EmbedVerbTest, RefusesBrokenImages) {
  const auto refused_as = [&](const std::string& content, const std::string& part) {
    folder_.write("images/small.png", content);
    expect_refused(embed(), 3, {"records.jsonl:5", "small.png", part});
  };
  refused_as("", "got");
  refused_as("no image at all", "JPEG");
  const std::string whole = read_text_file(kGolden / "images/small.png");
  refused_as(whole.substr(0, whole.size() / 2), "got");
}

TEST_F(EmbedVerbTest, SkipsPicturesThatCannotBeReadAndTellsWhich) {
  ASSERT_EQ(embed().exit_code, 0);
  const torch::Tensor whole = EmbeddingsReader(at("e.h5")).read(0, 7);
  folder_.write("images/small.png", "no image at all");
  EXPECT_EQ(embed().exit_code, 3) << "unless asked to skip";
  for (const int ranks : {1, 2, 3}) {
    SCOPED_TRACE(ranks);
    const std::vector<std::string> options = {"--on-error", "skip", "--block-records", "2", "--threads", "1"};
    const ProgramResult ran = ranks == 1 ? embed(options) : embed_with_ranks(ranks, options);
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    const EmbeddingsReader file(at("e.h5"));
    EXPECT_EQ(file.read_ids(0, file.rows()),
              (std::vector<std::string>{"text", "image", "both", "unicode", "again", "long"}));
    EXPECT_LT(largest_difference(file.read(0, 4), whole.narrow(0, 0, 4)), 1e-6);
    EXPECT_LT(largest_difference(file.read(4, 2), whole.narrow(0, 5, 2)), 1e-6);
    ASSERT_EQ(file.skipped().size(), 1u);
    EXPECT_EQ(file.skipped()[0].row, 4);
    EXPECT_EQ(file.skipped()[0].id, "small");
    EXPECT_THAT(file.skipped()[0].reason, AllOf(HasSubstr("records.jsonl:5"), HasSubstr("small.png")));
    EXPECT_THAT(ran.err, AllOf(HasSubstr("small was left out: ["), HasSubstr("1 of 7 records could not be read")));
    EXPECT_FALSE(fs::exists(at("e.h5.part-0")));
  }
  const ProgramResult told = run_program({TRIREME_BINARY, "inspect", at("e.h5")});
  EXPECT_THAT(told.out, AllOf(HasSubstr("skipped"), HasSubstr("small")));
}

TEST_F(EmbedVerbTest, RefusesToSkipEveryRecord) {
  folder_.write("records.jsonl",
                "{\"id\": \"a\", \"img_path\": \"none.png\"}\n{\"id\": \"b\", \"img_path\": \"no.png\"}\n");
  expect_refused(embed({"--on-error", "skip"}), 3, {"got 2 that are not", "none.png"});
}

TEST_F(EmbedVerbTest, FollowsLinksOutOfTheRootWhenAsked) {
  fs::rename(at("images/small.png"), at("blob"));
  fs::create_symlink(at("blob"), at("images/small.png"));
  expect_refused(embed(), 3, {"records.jsonl:5", "follow_links"});
  EXPECT_EQ(embed({"--follow-links"}).exit_code, 0);
}

TEST_F(EmbedVerbTest, NothingInAFileReachesTheTerminalAsAControl) {
  const auto has_control = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; }) ||
           text.find("\xc2\x9b") != text.npos;
  };
  folder_.write("records.jsonl",
                R"({"id": "a\u001b[2J\u009b\nerror: forged", "txt": "see\u0007", "img_path": "x\u001b[31m.png"})"
                "\n"
                R"({"id": "b", "txt": "x"})");
  const ProgramResult refused = embed();
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_FALSE(has_control(refused.err)) << refused.err;
  EXPECT_EQ(refused.error_lines(), 1);
  const ProgramResult skipped = embed({"--on-error", "skip"});
  EXPECT_EQ(skipped.exit_code, 0) << skipped.err;
  EXPECT_FALSE(has_control(skipped.err)) << skipped.err;
  EXPECT_EQ(skipped.error_lines(), 0) << skipped.err;
  for (const char* path : {"records.jsonl", "e.h5"}) {
    const ProgramResult told = run_program({TRIREME_BINARY, "inspect", at(path)});
    EXPECT_EQ(told.exit_code, 0) << told.err;
    EXPECT_FALSE(has_control(told.out)) << told.out;
    EXPECT_THAT(told.out, HasSubstr("a\\x1b[2J\\xc2\\x9b\\x0aerror: forged"));
  }
}

TEST_F(EmbedVerbTest, RefusesBrokenRecords) {
  folder_.write("records.jsonl", "");
  expect_refused(embed(), 3, {"records.jsonl", "empty file"});
  folder_.write("records.jsonl", "{\"id\": \"a\", \"txt\": \"x\"}\n{oops\n");
  expect_refused(embed(), 3, {"records.jsonl:2", "JSON"});
  folder_.write("records.jsonl", "{\"id\": \"a\", \"img_path\": \"../x.png\"}\n");
  expect_refused(embed(), 3, {"records.jsonl:1", "../x.png"});
  folder_.write("records.jsonl", "{\"id\": \"a\", \"txt\": \"see <|image_pad|>\"}\n");
  expect_refused(embed(), 3, {"records.jsonl:1", "<|image_pad|>"});
}

TEST_F(EmbedVerbTest, RefusesAnAdapterForAnotherBase) {
  const fs::path other = fs::path(TRIREME_TEST_DIR) / "golden/checkpoints/adapters/qwen2_rslora";
  const ProgramResult ran = embed({"--adapter", other});
  expect_refused(ran, 4, {"LoRA on model.layers.0.", "[32, 48]", "another base"});
}

TEST_F(EmbedVerbTest, RefusesWrongOptionsAndSuggestsTheRightOnes) {
  expect_refused(embed({"--rope-mod", "oned"}), 2, {"--rope-mod", "--rope-mode"});
  expect_refused(embed({"--rope-mode", "2d"}), 2, {"mrope", "oned", "2d"});
  expect_refused(embed({"--batch-tokens", "0"}), 2, {"--batch-tokens", "at least 1"});
  expect_refused(embed({"--min-pixels", "9000", "--max-pixels", "3000"}), 2, {"9000", "3000"});
  expect_refused(run_program({TRIREME_BINARY, "embd"}), 2, {"embd", "embed"});
}

TEST_F(EmbedVerbTest, RefusesAFolderThatIsNotThere) {
  auto argv = arguments();
  argv.back() = at("none/e.h5");
  expect_refused(run_program(argv), 3, {"none"});
}

TEST_F(EmbedVerbTest, RefusesAFullDisk) {
  auto argv = arguments();
  argv.insert(argv.begin(), {"/bin/sh", "-c", "ulimit -f 1; trap '' XFSZ; exec \"$@\"", "sh"});
  expect_refused(run_program(argv), 3, {"e.h5"});
}

TEST_F(EmbedVerbTest, WritesMetrics) {
  ASSERT_EQ(embed({"--metrics", at("m.json")}).exit_code, 0);
  EXPECT_THAT(read_text_file(at("m.json")), AllOf(HasSubstr("\"records\": 7"), HasSubstr("records_per_s")));
}

}  // namespace
}  // namespace trireme
