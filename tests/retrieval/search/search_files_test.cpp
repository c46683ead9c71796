#include "retrieval/search/search_files.h"

#include <limits>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "core/io/hdf5.h"
#include "retrieval/search/run_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const EmbeddingsInfo kInfo{"models/a", "aaaa", "bbbb", "mrope", "cccc", false};

class SearchFiles : public ::testing::Test {
 protected:
  SearchFiles() {
    at::manual_seed(1);
    options_.queries = folder_.path() / "q.h5";
    options_.corpus = folder_.path() / "c.h5";
    options_.out = folder_.path() / "run.h5";
    options_.k = 5;
    write(options_.queries, "q", at::randn({9, 12}));
    write(options_.corpus, "d", at::randn({80, 12}));
  }

  void write(const std::filesystem::path& path, const std::string& prefix, const torch::Tensor& rows,
             EmbeddingsInfo info = kInfo, c10::ScalarType dtype = torch::kFloat32) const {
    std::vector<std::string> ids;
    for (int64_t row = 0; row < rows.size(0); ++row) ids.push_back(prefix + std::to_string(row));
    EmbeddingsWriter writer(path, rows.size(0), rows.size(1), dtype);
    writer.write(0, ids, rows);
    writer.commit(info);
  }

  SearchReport run() const {
    SelfCommunicator self;
    return search_files(options_, "sha", self);
  }
  /// Refused, and nothing of an output is there.
  template <class Kind>
  std::string refusal() const {
    const std::string message = message_of<Kind>([&] { run(); });
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("run")));
    return message;
  }

  test::TempFolder folder_;
  SearchFilesOptions options_;
};

TEST_F(SearchFiles, WritesTheSameBytesForEveryNumberOfRanks) {
  options_.trec = folder_.path() / "run.txt";
  run();
  const std::string expected = read_text_file(options_.out), text = read_text_file(*options_.trec);
  for (const int64_t ranks : {2, 3}) {
    run_ranks(ranks, [&](Communicator& communicator) { search_files(options_, "sha", communicator); });
    EXPECT_EQ(read_text_file(options_.out), expected);
    EXPECT_EQ(read_text_file(*options_.trec), text);
  }
  const trireme::Run written = read_run(options_.out);
  EXPECT_EQ(written.queries(), 9);
  EXPECT_EQ(written.depth(), 5);
  EXPECT_EQ(written.info, (RunInfo{"exact", "models/a", "aaaa", "bbbb", "sha", 80}));
  EXPECT_THAT(text, StartsWith("q0 Q0 " + written.doc_ids[0] + " 1 "));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 45);
}

TEST_F(SearchFiles, LeavesOutTheDocumentWithTheQuerysId) {
  options_.corpus = options_.queries;
  run();
  const trireme::Run itself = read_run(options_.out);
  int64_t found = 0;
  for (int64_t q = 0; q < 9; ++q)
    found += std::ranges::count(itself.docs_of(q), itself.query_ids[static_cast<std::size_t>(q)]);
  EXPECT_GT(found, 6);
  options_.exclude_same_id = true;
  run();
  const trireme::Run others = read_run(options_.out);
  EXPECT_EQ(others.info.candidates, 8);
  for (int64_t q = 0; q < 9; ++q)
    EXPECT_EQ(std::ranges::count(others.docs_of(q), others.query_ids[static_cast<std::size_t>(q)]), 0);
  options_.k = 9;
  EXPECT_THAT(message_of<ConfigError>([&] { run(); }), AllOf(HasSubstr("k = 9"), HasSubstr("9 rows, 1 excluded")));
}

TEST_F(SearchFiles, TellsHowManyDocumentsAListCouldHaveHeldAtMost) {
  // q0 to q8 ask, q0 to q4 are searched: the others exclude none.
  write(options_.corpus, "q", at::randn({5, 12}));
  options_.exclude_same_id = true;
  options_.k = 4;
  run();
  const trireme::Run written = read_run(options_.out);
  EXPECT_EQ(written.info.candidates, 5) << "as those of q5 to q8: each of their lists of 4 leaves one out";
  const IdTable queries({"a", "b"}), corpus({"c", "d", "e"});
  EXPECT_EQ(candidates_of(corpus, {}), 3);
  EXPECT_EQ(candidates_of(corpus, {{0}, {1, 2}}), 2);
  const Neighbours found{at::tensor(std::vector<int64_t>{0, 2, 1, -1}).view({2, 2}),
                         at::tensor(std::vector<float>{2, 1, 1, -std::numeric_limits<float>::infinity()}).view({2, 2})};
  const trireme::Run lists = run_of(found, queries, corpus, {{1}, {0, 2}});
  EXPECT_EQ(lists.info.candidates, 2);
  EXPECT_THAT(lists.doc_ids, ElementsAre("c", "e", "d", ""));
  EXPECT_THAT(lists.query_ids, ElementsAre("a", "b"));
}

TEST_F(SearchFiles, BuildsAnIndexOnceAndTellsItsRecall) {
  options_.index = SearchIndex::kHnsw;
  options_.index_file = folder_.path() / "corpus.hnsw";
  EXPECT_GT(run().recall.value(), 0.9);
  const std::string first = read_text_file(options_.out);
  const auto built = std::filesystem::last_write_time(*options_.index_file);
  run();
  EXPECT_EQ(std::filesystem::last_write_time(*options_.index_file), built);
  EXPECT_EQ(read_text_file(options_.out), first);
  EXPECT_EQ(read_run(options_.out).info.method, "hnsw");
  write(options_.corpus, "d", at::randn({80, 12}));
  EXPECT_THAT(message_of<DataError>([&] { run(); }), AllOf(HasSubstr("corpus.hnsw"), HasSubstr("of this corpus")));
}

TEST_F(SearchFiles, AnIndexIsBoundToEveryVectorItWasMadeOf) {
  options_.index = SearchIndex::kHnsw;
  options_.index_file = folder_.path() / "corpus.hnsw";
  at::manual_seed(7);
  const torch::Tensor rows = at::randn({2000, 12});
  write(options_.corpus, "d", rows);
  run();
  write(options_.corpus, "d", rows);
  run();  // another file with the same in it
  torch::Tensor changed = rows.clone();
  changed[1003][5] += 0.001F;
  write(options_.corpus, "d", changed);
  EXPECT_THAT(message_of<DataError>([&] { run(); }), AllOf(HasSubstr("vectors or ids differ"), HasSubstr("c.h5")));
  EmbeddingsInfo other = kInfo;
  other.fingerprint.set(FingerprintPart::kTokenizer, "one");
  write(options_.corpus, "d", rows, other);
  run();  // the vectors count, not what else is said of them
  std::filesystem::remove(*options_.index_file);
  run();
  other.fingerprint.set(FingerprintPart::kTokenizer, "two");
  write(options_.corpus, "d", changed, other);
  EXPECT_THAT(message_of<DataError>([&] { run(); }),
              HasSubstr("tokenizer differs (tokenizer one then and tokenizer two"));
}

TEST_F(SearchFiles, RefusesAnIndexOverSeveralRanks) {
  options_.index = SearchIndex::kHnsw;
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { run_ranks(2, [&](Communicator& communicator) { search_files(options_, "", communicator); }); }),
              AllOf(HasSubstr("2 ranks"), HasSubstr("--index exact")));
}

TEST_F(SearchFiles, RefusesToMixEmbeddings) {
  const auto rows = at::randn({80, 12});
  const auto refused = [&](EmbeddingsInfo info) {
    write(options_.corpus, "d", rows, std::move(info));
    return refusal<DataError>();
  };
  EmbeddingsInfo info = kInfo;
  info.model_sha256 = "dddd";
  EXPECT_THAT(refused(info), AllOf(HasSubstr("model"), HasSubstr("aaaa in"), HasSubstr("dddd in"), HasSubstr("c.h5")));
  info = kInfo;
  info.adapter_sha256 = "";
  EXPECT_THAT(refused(info), AllOf(HasSubstr("adapter"), HasSubstr("bbbb"), HasSubstr("none")));
  info = kInfo;
  info.rope_mode = "oned";
  EXPECT_THAT(refused(info), AllOf(HasSubstr("rope mode"), HasSubstr("oned")));
  info = kInfo;
  info.normalized = true;
  EXPECT_THAT(refused(info), AllOf(HasSubstr("normalisation"), HasSubstr("unit length")));
}

TEST_F(SearchFiles, NamesThePartInWhichQueriesAndCorpusDiffer) {
  using enum FingerprintPart;
  const auto rows = at::randn({80, 12});
  EmbeddingsInfo info = kInfo;
  for (const FingerprintPart part : all_fingerprint_parts()) info.fingerprint.set(part, "alike");
  write(options_.queries, "q", at::randn({9, 12}), info);
  write(options_.corpus, "d", rows, info);
  EXPECT_EQ(run().warning, "");
  const Fingerprint same = info.fingerprint;
  for (const FingerprintPart part : all_fingerprint_parts()) {
    info.fingerprint = same;
    info.fingerprint.set(part, "otherwise");
    write(options_.corpus, "d", rows, info);
    const std::vector<FingerprintPart> one{part};
    if (std::ranges::find(kComparableParts, part) == kComparableParts.end()) {
      EXPECT_EQ(run().warning, "") << names_of(one);
    } else {
      std::filesystem::remove(options_.out);
      EXPECT_THAT(refusal<DataError>(), AllOf(HasSubstr("the same " + names_of(one) + ";"), HasSubstr("c.h5")));
      options_.may_differ = one;
      EXPECT_EQ(run().warning, "");
      options_.may_differ.clear();
    }
  }
  const trireme::Run written = read_run(options_.out);
  EXPECT_EQ(written.info.query_fingerprint, same);
  EXPECT_EQ(written.info.fingerprint, info.fingerprint);
  write(options_.corpus, "d", rows);
  EXPECT_THAT(run().warning, AllOf(HasSubstr("c.h5"), HasSubstr("not compared")));
}

TEST_F(SearchFiles, RefusesTwoModelsWithoutHashesByTheirNames) {
  EmbeddingsInfo info{"mine", "", "", "mrope", "", false};
  write(options_.queries, "q", at::randn({2, 12}), info);
  info.model = "yours";
  write(options_.corpus, "d", at::randn({9, 12}), info);
  EXPECT_THAT(refusal<DataError>(), AllOf(HasSubstr("mine"), HasSubstr("yours")));
}

TEST_F(SearchFiles, RefusesOtherDimensions) {
  write(options_.corpus, "d", at::randn({80, 13}));
  EXPECT_THAT(refusal<ShapeError>(), AllOf(HasSubstr("got 12 in"), HasSubstr("13 in")));
}

TEST_F(SearchFiles, RefusesMoreNeighboursThanDocuments) {
  options_.k = 81;
  EXPECT_THAT(refusal<ConfigError>(), HasSubstr("k = 81 and 80 rows"));
}

TEST_F(SearchFiles, RefusesMissingAndTruncatedFiles) {
  const std::string whole = read_text_file(options_.corpus);
  for (const std::size_t size : {whole.size() - 8, whole.size() / 3}) {
    folder_.write("c.h5", whole.substr(0, size));
    EXPECT_THAT(refusal<DataError>(), HasSubstr("c.h5"));
  }
  std::filesystem::remove(options_.corpus);
  EXPECT_THAT(refusal<DataError>(), HasSubstr("c.h5"));
}

/// A file that another tool might write: our own writer refuses such rows.
TEST_F(SearchFiles, RefusesNanAndAnIdTwice) {
  const auto foreign = [&](std::vector<std::string> ids, float last) {
    Hdf5Writer writer(options_.corpus);
    writer.set_format({"embeddings", 1, "cccc"});
    writer.set_attribute("model", kInfo.model);
    writer.set_attribute("model_sha256", kInfo.model_sha256);
    writer.set_attribute("adapter_sha256", kInfo.adapter_sha256);
    writer.set_attribute("rope_mode", kInfo.rope_mode);
    writer.set_attribute("normalized", int64_t{0});
    writer.create("embedding", torch::kFloat32, {6, 12});
    auto rows = at::randn({6, 12});
    rows[5][11] = last;
    writer.write("embedding", 0, rows);
    writer.create_strings("id", {6});
    writer.write_strings("id", 0, ids);
    writer.commit();
    return refusal<DataError>();
  };
  EXPECT_THAT(foreign({"a", "b", "c", "d", "e", "f"}, std::numeric_limits<float>::quiet_NaN()),
              AllOf(HasSubstr("NaN"), HasSubstr("id \"f\"")));
  EXPECT_THAT(foreign({"a", "b", "c", "d", "e", "b"}, 0), AllOf(HasSubstr("c.h5"), HasSubstr("\"b\" at rows 1 and 5")));
}

TEST_F(SearchFiles, RefusesUnitLengthThatIsNone) {
  EmbeddingsInfo info = kInfo;
  info.normalized = true;
  write(options_.queries, "q", at::full({1, 12}, 1 / std::sqrt(12.0)), info);
  write(options_.corpus, "d", at::full({9, 12}, 0.5), info);
  EXPECT_THAT(refusal<DataError>(), AllOf(HasSubstr("normalized"), HasSubstr("1.73"), HasSubstr("id \"d0\"")));
}

TEST_F(SearchFiles, AFailedRunLeavesTheOldFiles) {
  folder_.write("run.h5", "old");
  options_.trec = folder_.path() / "run.txt";
  folder_.write("run.txt", "old");
  options_.tag = "two words";
  EXPECT_THAT(message_of<ConfigError>([&] { run(); }), HasSubstr("two words"));
  EXPECT_EQ(read_text_file(options_.out), "old");
  EXPECT_EQ(read_text_file(*options_.trec), "old");
}

}  // namespace
}  // namespace trireme
