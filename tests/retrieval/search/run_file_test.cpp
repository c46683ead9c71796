#include "retrieval/search/run_file.h"

#include <cmath>
#include <limits>

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include "core/io/file.h"
#include "core/io/hdf5.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RunFile : public ::testing::Test {
 protected:
  trireme::Run sample() const {
    return {{"q 1", "frage:2"},
            {"d1", "d2", "d3", "größe", "d1", "東京"},
            at::tensor({0.5f, 0.5f, -0.25f, 3.f, 2.f, 0.1f}).view({2, 3}),
            {"exact", "models/a", "aa", "bb", "cc", 12}};
  }
  /// What reading says after `change` was made to the sample.
  template <class Change>
  std::string refusal(Change change) {
    trireme::Run run = sample();
    change(run);
    write_run(path_, run);
    return message_of<DataError>([&] { read_run(path_); });
  }
  test::TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "run.h5";
};

TEST_F(RunFile, ComesBackAsItWasWritten) {
  const trireme::Run written = sample();
  write_run(path_, written);
  const trireme::Run read = read_run(path_);
  EXPECT_EQ(read.query_ids, written.query_ids);
  EXPECT_EQ(read.doc_ids, written.doc_ids);
  EXPECT_TRUE(at::equal(read.scores, written.scores));
  EXPECT_EQ(read.info, written.info);
  EXPECT_EQ(read.docs_of(1)[0], "größe");
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_F(RunFile, ListsMayEndEarly) {
  trireme::Run written = sample();
  for (const std::size_t behind : {std::size_t{2}, std::size_t{4}, std::size_t{5}}) {
    written.doc_ids[behind] = "";
    written.scores.view({-1})[static_cast<int64_t>(behind)] = -kInfinity;
  }
  write_run(path_, written);
  const trireme::Run read = read_run(path_);
  EXPECT_EQ(read.doc_ids, written.doc_ids);
  EXPECT_TRUE(at::equal(read.scores, written.scores));
  EXPECT_THAT(read.docs_of(0), ::testing::ElementsAre("d1", "d2"));
  EXPECT_THAT(read.docs_of(1), ::testing::ElementsAre("größe"));
  TrecWriter trec(folder_.path() / "run.txt", "t");
  const std::vector<std::string> queries = {"q1", "q2"};
  trec.write(queries, read.doc_ids, read.scores);
  trec.commit();
  EXPECT_EQ(read_text_file(folder_.path() / "run.txt"), "q1 Q0 d1 1 0.5 t\nq1 Q0 d2 2 0.5 t\nq2 Q0 größe 1 3 t\n");
}

TEST_F(RunFile, RefusesDocumentsBehindAListsEndAndListsOfNone) {
  EXPECT_THAT(refusal([](trireme::Run& run) { run.scores[1][2] = -kInfinity; }),
              AllOf(HasSubstr("score -inf"), HasSubstr("frage:2")));
  EXPECT_THAT(refusal([](trireme::Run& run) { run.scores[0][1] = -kInfinity; }),
              AllOf(HasSubstr("finite"), HasSubstr("q 1")));
  EXPECT_THAT(refusal([](trireme::Run& run) {
                run.scores[0].fill_(-kInfinity);
                for (std::size_t i = 0; i < 3; ++i) run.doc_ids[i] = "";
              }),
              AllOf(HasSubstr("finite"), HasSubstr("q 1")));
}

TEST_F(RunFile, IsTheSameBytesInAnyBlocks) {
  const trireme::Run run = sample();
  write_run(path_, run);
  const std::string at_once = read_text_file(path_);
  RunWriter writer(path_, 2, 3);
  for (int64_t q = 0; q < 2; ++q)
    writer.write(std::span(run.query_ids).subspan(static_cast<std::size_t>(q), 1), run.docs_of(q),
                 run.scores.narrow(0, q, 1));
  writer.commit(run.info);
  const trireme::Run read = read_run(path_);
  EXPECT_EQ(read.doc_ids, run.doc_ids);
  EXPECT_EQ(read_text_file(path_).size(), at_once.size());
}

TEST_F(RunFile, WithoutCommitTheOldFileStays) {
  folder_.write("run.h5", "old");
  { const RunWriter writer(path_, 2, 3); }
  EXPECT_EQ(read_text_file(path_), "old");
}

TEST_F(RunFile, RefusesListsThatAreNone) {
  EXPECT_THAT(refusal([](trireme::Run& run) { run.query_ids[1] = "q 1"; }),
              AllOf(HasSubstr("run.h5"), HasSubstr("two for \"q 1\"")));
  EXPECT_THAT(refusal([](trireme::Run& run) { run.doc_ids[5] = "d1"; }),
              AllOf(HasSubstr("\"d1\" twice"), HasSubstr("frage:2")));
  EXPECT_THAT(refusal([](trireme::Run& run) { run.scores[1][2] = 2.5f; }),
              AllOf(HasSubstr("fall along"), HasSubstr("frage:2")));
  EXPECT_THAT(refusal([](trireme::Run& run) { run.scores[0][0] = NAN; }), AllOf(HasSubstr("finite"), HasSubstr("q 1")));
}

TEST_F(RunFile, RefusesOtherFilesAndDamagedOnes) {
  EXPECT_THAT(message_of<DataError>([&] { read_run(path_); }), HasSubstr("run.h5"));
  write_run(path_, sample());
  const std::string whole = read_text_file(path_);
  for (const std::size_t size : {whole.size() - 1, whole.size() / 2, std::size_t{64}}) {
    folder_.write("run.h5", whole.substr(0, size));
    EXPECT_THAT(message_of<DataError>([&] { read_run(path_); }), HasSubstr("run.h5"));
  }
  Hdf5Writer writer(path_);
  writer.set_format({"embeddings", 1, ""});
  writer.commit();
  EXPECT_THAT(message_of<DataError>([&] { read_run(path_); }), AllOf(HasSubstr("\"run\""), HasSubstr("embeddings")));
}

TEST_F(RunFile, RefusesShapesThatContradictEachOther) {
  Hdf5Writer writer(path_);
  writer.set_format({"run", 1, ""});
  writer.create_strings("query_id", {3});
  writer.create_strings("doc_id", {2, 4});
  writer.create("score", torch::kFloat32, {2, 4});
  writer.commit();
  EXPECT_THAT(message_of<DataError>([&] { read_run(path_); }),
              AllOf(HasSubstr("/query_id must be [2] strings"), HasSubstr("got [3] strings")));
}

class Trec : public RunFile {
 protected:
  std::filesystem::path text_ = folder_.path() / "run.txt";
};

TEST_F(Trec, HoldsRanksFromOneAndScoresThatComeBack) {
  TrecWriter writer(text_, "ours");
  writer.write(std::vector<std::string>{"q"}, std::vector<std::string>{"a", "ü"},
               at::tensor({0.1f, 1e-7f}).view({1, 2}));
  writer.commit();
  EXPECT_EQ(read_text_file(text_), "q Q0 a 1 0.100000001 ours\nq Q0 ü 2 1.00000001e-07 ours\n");
}

TEST_F(Trec, RefusesIdsThatWouldShiftTheColumns) {
  for (const char* id : {"two words", "", "tab\t", "line\n", "wide\u3000", "no-break\u00a0space"}) {
    TrecWriter writer(text_, "ours");
    EXPECT_THAT(
        message_of<DataError>([&] {
          writer.write(std::vector<std::string>{"q"}, std::vector<std::string>{id}, at::tensor({1.f}).view({1, 1}));
        }),
        HasSubstr("document id"));
  }
  EXPECT_THAT(message_of<ConfigError>([&] { TrecWriter(text_, "my run"); }), HasSubstr("\"my run\""));
  EXPECT_FALSE(std::filesystem::exists(text_));
}

}  // namespace
}  // namespace trireme
