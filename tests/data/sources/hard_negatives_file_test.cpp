#include "data/sources/hard_negatives_file.h"

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hdf5.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

HardNegativesInfo info() {
  return {.model = "models/größe",
          .model_sha256 = "aa",
          .adapter_sha256 = "bb",
          .rope_mode = "mrope",
          .corpus = "pools",
          .corpus_sha256 = "cc",
          .filters = "{absolute_margin: 0.1}",
          .config_sha256 = "dd",
          .depth = 4,
          .counts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
          .prior = {0.625, 0.5},
          .fingerprint = Fingerprint::from_json("{\"tokenizer\":\"ee\"}", "info")};
}

/// Query q has q % 5 documents, the second of which is a positive where there is one, and one that was not found.
std::vector<MinedQuery> some_queries(int64_t count) {
  std::vector<MinedQuery> queries;
  for (int64_t q = 0; q < count; ++q) {
    MinedQuery query{.id = fmt::format("q:{}", q), .documents = {}, .positives = {}};
    for (int64_t i = 0; i < q % 5; ++i) {
      query.documents.push_back({fmt::format("d:{}", 7 * q + i), 1.0F / static_cast<float>(q + i + 1), i == 1});
      if (i == 1) query.positives.push_back({query.documents.back().id, query.documents.back().score});
    }
    query.positives.push_back({fmt::format("gold of {}", q), -0.25F});
    queries.push_back(std::move(query));
  }
  return queries;
}

TEST(HardNegativesFile, RoundTripKeepsListsPositivesAndInfo) {
  const TempFolder folder;
  const std::vector<MinedQuery> queries = some_queries(5000);
  HardNegativesWriter writer(folder.path() / "h.h5");
  writer.write(std::span(queries).first(1));
  writer.write({});
  writer.write(std::span(queries).subspan(1, 3000));
  writer.write(std::span(queries).subspan(3001));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "h.h5"));
  writer.commit(info());

  const HardNegativesFile file = HardNegativesFile::open(folder.path() / "h.h5");
  EXPECT_EQ(file.info(), info());
  ASSERT_EQ(file.queries(), 5000);
  EXPECT_EQ(file.read(0, 5000), queries);
  EXPECT_EQ(file.read(4998), queries[4998]);
  EXPECT_EQ(file.find("q:4321"), 4321);
  EXPECT_EQ(file.find("q:5000"), std::nullopt);
}

TEST(HardNegativesFile, OfNoQueriesIsAFileToo) {
  const TempFolder folder;
  HardNegativesWriter(folder.path() / "h.h5").commit(info());
  const HardNegativesFile file = HardNegativesFile::open(folder.path() / "h.h5");
  EXPECT_EQ(file.queries(), 0);
  EXPECT_EQ(file.find(""), std::nullopt);
  EXPECT_TRUE(file.read(0, 0).empty());
}

TEST(HardNegativesFile, SeveralThreadsReadSideBySide) {
  const TempFolder folder;
  const std::vector<MinedQuery> queries = some_queries(400);
  HardNegativesWriter writer(folder.path() / "h.h5");
  writer.write(queries);
  writer.commit(info());
  const HardNegativesFile file = HardNegativesFile::open(folder.path() / "h.h5");
  std::vector<std::vector<MinedQuery>> read(4);
  {
    std::vector<std::jthread> threads;
    for (std::vector<MinedQuery>& mine : read)
      threads.emplace_back([&] {
        for (const MinedQuery& query : queries) mine.push_back(file.read(*file.find(query.id)));
      });
  }
  for (const std::vector<MinedQuery>& mine : read) EXPECT_EQ(mine, queries);
}

TEST(HardNegativesWriter, EqualListsGiveEqualBytesHoweverTheyAreDivided) {
  const TempFolder folder;
  const std::vector<MinedQuery> queries = some_queries(300);
  for (const char* name : {"1", "2"}) {
    HardNegativesWriter writer(folder.path() / name);
    writer.write(std::span(queries).first(200));
    writer.write(std::span(queries).subspan(200));
    writer.commit(info());
  }
  EXPECT_EQ(read_text_file(folder.path() / "1"), read_text_file(folder.path() / "2"));
}

TEST(HardNegativesWriter, LeavesTheOldFileUnlessCommitted) {
  const TempFolder folder;
  const auto path = folder.write("h.h5", "old");
  { HardNegativesWriter(path).write(some_queries(3)); }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

/// A file of two queries, each dataset of which a case may change.
struct Contents {
  std::vector<std::string> query_ids{"a", "b"}, doc_ids{"x", "y", "x"}, positive_ids{"y", "z"};
  std::vector<int64_t> doc_offsets{0, 2, 3}, positive_offsets{0, 1, 2};
  std::vector<float> scores{0.5F, 0.25F, 0.5F}, positive_scores{0.25F, 0.0F};
  std::vector<int32_t> positive{0, 1, 0};
  std::string format = "hard_negatives";

  std::filesystem::path write(const TempFolder& folder) const {
    const std::filesystem::path path = folder.path() / "h.h5";
    Hdf5Writer file(path);
    const auto strings = [&](const char* name, const std::vector<std::string>& values) {
      file.create_strings(name, {std::ssize(values)});
      file.write_strings(name, 0, values);
    };
    const auto numbers = [&](const char* name, const auto& values) {
      const torch::Tensor tensor = at::tensor(values);
      file.create(name, tensor.scalar_type(), {tensor.size(0)});
      file.write(name, 0, tensor);
    };
    strings("query_id", query_ids);
    strings("doc_id", doc_ids);
    strings("gold_id", positive_ids);
    numbers("doc_offset", doc_offsets);
    numbers("gold_offset", positive_offsets);
    numbers("score", scores);
    numbers("gold_score", positive_scores);
    numbers("gold", positive);
    file.set_format({format, 1, ""});
    for (const char* name :
         {"model", "model_sha256", "adapter_sha256", "rope_mode", "corpus", "corpus_sha256", "filters"})
      file.set_attribute(name, "");
    for (const char* name :
         {"depth", "dropped_by_rank_window", "dropped_by_absolute_margin", "dropped_by_relative_margin",
          "dropped_as_near_duplicate", "dropped_as_known_positive", "dropped_by_balance", "emptied_queries_dropped",
          "emptied_queries_unfiltered", "gold_missing_from_pool", "goldless_queries_dropped"})
      file.set_attribute(name, int64_t{0});
    for (const char* name : {"document_prior_accuracy", "document_prior_nats"}) file.set_attribute(name, 0.5);
    file.commit();
    return path;
  }
};

TEST(HardNegativesFile, ReadsAFileMadeElsewhere) {
  const TempFolder folder;
  const HardNegativesFile file = HardNegativesFile::open(Contents{}.write(folder));
  EXPECT_EQ(file.read(0), (MinedQuery{"a", {{"x", 0.5F, false}, {"y", 0.25F, true}}, {{"y", 0.25F}}}));
  EXPECT_EQ(file.read(1), (MinedQuery{"b", {{"x", 0.5F, false}}, {{"z", 0.0F}}}));
}

TEST(HardNegativesFile, RefusesWhatContradictsItself) {
  const TempFolder folder;
  const auto refusal = [&](const auto& change) {
    Contents contents;
    change(contents);
    const auto path = contents.write(folder);
    return message_of<DataError>([&] { HardNegativesFile::open(path).read(0, 2); });
  };
  EXPECT_THAT(refusal([](Contents& c) { c.format = "run"; }), AllOf(HasSubstr("h.h5"), HasSubstr("hard_negatives")));
  EXPECT_THAT(refusal([](Contents& c) { c.query_ids[1] = "a"; }), HasSubstr("two for \"a\""));
  EXPECT_THAT(refusal([](Contents& c) { c.doc_offsets = {0, 2}; }), HasSubstr("/doc_offset must be [3] int64"));
  EXPECT_THAT(refusal([](Contents& c) { c.doc_offsets = {0, 4, 3}; }), HasSubstr("/doc_offset must rise"));
  EXPECT_THAT(refusal([](Contents& c) { c.positive_offsets = {0, 1, 1}; }), HasSubstr("/gold_offset must rise"));
  EXPECT_THAT(refusal([](Contents& c) { c.scores.pop_back(); }), HasSubstr("/score must be [3] float32"));
  EXPECT_THAT(refusal([](Contents& c) { c.scores[1] = 0.75F; }), HasSubstr("for query \"a\""));
  EXPECT_THAT(refusal([](Contents& c) { c.positive_scores[1] = NAN; }), HasSubstr("for query \"b\""));
  EXPECT_THAT(refusal([](Contents& c) { c.doc_ids[1] = "x"; }), HasSubstr("got \"x\" twice for query \"a\""));
  EXPECT_THAT(refusal([](Contents& c) { c.positive[2] = 1; }), HasSubstr("document \"x\" of query \"b\""));
  EXPECT_THAT(refusal([](Contents& c) { c.positive[1] = 0; }), HasSubstr("document \"y\" of query \"a\""));
}

TEST(HardNegativesFile, RefusesWhatIsMissingOrNoHdf5) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { HardNegativesFile::open(folder.path() / "h.h5"); }), HasSubstr("h.h5"));
  const auto path = folder.write("text.h5", "no HDF5");
  EXPECT_THAT(message_of<DataError>([&] { HardNegativesFile::open(path); }), HasSubstr("text.h5"));
}

}  // namespace
}  // namespace trireme
