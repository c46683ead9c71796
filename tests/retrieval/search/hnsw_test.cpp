#include "retrieval/search/hnsw.h"

#include <cmath>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>

#include "core/distributed/self.h"
#include "core/io/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

torch::Tensor unit_rows(int64_t rows, int64_t dim) {
  const auto values = at::randn({rows, dim});
  return values / at::linalg_vector_norm(values, 2, c10::IntArrayRef{1}, true);
}

IdTable numbered(int64_t rows) {
  std::vector<std::string> ids;
  for (int64_t row = 0; row < rows; ++row) ids.push_back(std::to_string(row));
  return IdTable(ids);
}

class Hnsw : public ::testing::Test {
 protected:
  Hnsw() { at::manual_seed(1); }
  Neighbours exact(int64_t k, const ExcludedRows& excluded = {}) const {
    SelfCommunicator self;
    return search(queries_, TensorSource(corpus_), ids_, k, {}, self, excluded);
  }
  HnswIndex build(HnswOptions options = {}) const { return HnswIndex::build(TensorSource(corpus_), ids_, options); }

  torch::Tensor corpus_ = unit_rows(1500, 24), queries_ = unit_rows(40, 24);
  IdTable ids_ = numbered(1500);
  test::TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "index";
};

TEST_F(Hnsw, FindsNearlyAllNeighboursWithTheScoresOfExactSearch) {
  const Neighbours expected = exact(10), found = build().search(queries_, ids_, 10, 200);
  EXPECT_GT(recall_of(found, expected), 0.98);
  for (int64_t q = 0; q < 40; ++q) {
    if (!at::equal(found.rows[q], expected.rows[q])) continue;
    EXPECT_TRUE(at::equal(found.scores[q], expected.scores[q]));
  }
}

TEST_F(Hnsw, FindsMoreWithMoreCandidates) {
  const HnswIndex index = build({.m = 4, .ef_construction = 20});
  const Neighbours expected = exact(5);
  EXPECT_LT(recall_of(index.search(queries_, ids_, 5, 5), expected),
            recall_of(index.search(queries_, ids_, 5, 500), expected));
}

TEST_F(Hnsw, FindsTheSameAfterSavingAndLoading) {
  const HnswIndex built = build({.m = 8, .ef_construction = 50});
  Fingerprint fingerprint;
  fingerprint.set(FingerprintPart::kTokenizer, "a tokenizer");
  const IndexedCorpus corpus{"hash", "stamp", fingerprint};
  built.save(path_, corpus);
  EXPECT_EQ(read_indexed_corpus(path_), corpus);
  const HnswIndex loaded = HnswIndex::load(path_);
  EXPECT_EQ(loaded.rows(), 1500);
  EXPECT_EQ(loaded.dim(), 24);
  EXPECT_EQ(loaded.options().m, 8);
  const Neighbours a = built.search(queries_, ids_, 10, 60), b = loaded.search(queries_, ids_, 10, 60);
  EXPECT_TRUE(at::equal(a.rows, b.rows) && at::equal(a.scores, b.scores));
}

TEST_F(Hnsw, NeverGivesAnExcludedRow) {
  ExcludedRows excluded(40);
  const Neighbours before = exact(4);
  for (int64_t q = 0; q < 40; ++q) excluded[static_cast<std::size_t>(q)] = {before.rows[q][0].item<int64_t>(), 7};
  const Neighbours found = build().search(queries_, ids_, 4, 300, excluded);
  EXPECT_GT(recall_of(found, exact(4, excluded)), 0.98);
  for (int64_t q = 0; q < 40; ++q)
    for (const int64_t row : excluded[static_cast<std::size_t>(q)])
      EXPECT_FALSE((found.rows[q] == row).any().item<bool>());
}

TEST_F(Hnsw, RefusesADamagedIndexOrOneOfAnOlderVersion) {
  build({.m = 4, .ef_construction = 10}).save(path_, {"hash", "stamp", {}});
  const std::string index = read_text_file(path_), description = read_text_file(folder_.path() / "index.json");
  std::string damaged = index;
  damaged[damaged.size() / 2] ^= 1;
  for (const std::string& bytes : {damaged, index.substr(0, index.size() / 2), std::string()}) {
    folder_.write("index", bytes);
    EXPECT_THAT(message_of<DataError>([&] { HnswIndex::load(path_); }), HasSubstr("checksum"));
  }
  folder_.write("index", index);
  std::string older = description;
  older.replace(older.find("\"format_version\": 2"), 19, "\"format_version\": 1");
  for (const std::string& text : {std::string("{"), std::string("[]"), description.substr(0, 40), older}) {
    folder_.write("index.json", text);
    EXPECT_THAT(message_of<DataError>([&] { HnswIndex::load(path_); }), HasSubstr("index.json"));
  }
  std::filesystem::remove(folder_.path() / "index.json");
  EXPECT_THAT(message_of<DataError>([&] { HnswIndex::load(path_); }), HasSubstr("index.json"));
}

TEST_F(Hnsw, RefusesFewerCandidatesThanNeighbours) {
  const HnswIndex index = build({.m = 4, .ef_construction = 10});
  EXPECT_THAT(message_of<ConfigError>([&] { index.search(queries_, ids_, 20, 10); }),
              AllOf(HasSubstr("20, 10 and 1500"), HasSubstr("--hnsw.ef-search")));
}

TEST_F(Hnsw, RefusesNan) {
  corpus_[3][2] = NAN;
  EXPECT_THAT(message_of<DataError>([&] { build(); }), HasSubstr("id \"3\""));
}

}  // namespace
}  // namespace trireme
