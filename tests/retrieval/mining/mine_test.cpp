#include "retrieval/mining/mine.h"

#include <algorithm>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/embeddings_file.h"
#include "core/io/file.h"
#include "tests/losses/counted_memory.h"
#include "tests/support/expect_error.h"
#include "tests/support/toy_mining.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::ToyMining;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// Stands for a kill: nothing of Trireme's catches it.
struct Killed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class MineTest : public ::testing::Test {
 protected:
  Resolved<MineConfig> config(std::vector<std::string> overrides = {}) const {
    return load_config<MineConfig>(toy_.at("mine.yaml"), overrides);
  }
  MineReport mine(std::vector<std::string> overrides = {}, int64_t killed_at_event = -1) {
    SelfCommunicator self;
    int64_t event = 0;
    notices_.clear();
    return trireme::mine(config(std::move(overrides)), self,
                         {.progress =
                              [&](std::string_view phase, std::string_view, int64_t, int64_t) {
                                if (phase == "mine" && event++ == killed_at_event) throw Killed("now");
                              },
                          .notice = [&](const std::string& text) { notices_.push_back(text); }});
  }
  std::string bytes(const fs::path& name = "hard.h5") const { return read_text_file(toy_.at(name)); }
  fs::path out(const std::string& name) const { return toy_.at(name); }

  ToyMining toy_;
  std::vector<std::string> notices_;
};

/// Scores every pair of the kept embeddings and sorts.
std::vector<std::string> brute_force(const EmbeddingsReader& queries, int64_t query, const EmbeddingsReader& pool,
                                     const std::string& excluded, int64_t depth) {
  struct Scored {
    double score;
    std::string id;
  };
  const torch::Tensor q = queries.read(query, 1), docs = pool.read(0, pool.rows());
  const std::vector<std::string> ids = pool.read_ids(0, pool.rows());
  std::vector<Scored> scored;
  for (int64_t row = 0; row < pool.rows(); ++row) {
    double sum = 0;
    for (int64_t i = 0; i < pool.dim(); ++i)
      sum += double{q.const_data_ptr<float>()[i]} * double{docs.const_data_ptr<float>()[row * pool.dim() + i]};
    if (ids[static_cast<std::size_t>(row)] != excluded) scored.push_back({sum, ids[static_cast<std::size_t>(row)]});
  }
  std::ranges::sort(scored, [](const Scored& a, const Scored& b) {
    // Two copies of one picture score alike, and then the smaller id comes first.
    return static_cast<float>(a.score) != static_cast<float>(b.score) ? a.score > b.score : a.id < b.id;
  });
  std::vector<std::string> best;
  for (int64_t i = 0; i < depth; ++i) best.push_back(scored[static_cast<std::size_t>(i)].id);
  return best;
}

std::vector<std::string> ids_of(const MinedQuery& query) {
  std::vector<std::string> ids;
  for (const MinedDocument& document : query.documents) ids.push_back(document.id);
  return ids;
}

TEST_F(MineTest, ListsAreThoseOfABruteForceInEachTasksPartOfThePool) {
  const MineReport report = mine({"keep_work=true"});
  EXPECT_EQ(report.queries, 15);
  EXPECT_EQ(report.documents, 60);
  const HardNegativesFile file = HardNegativesFile::open(out("hard.h5"));
  ASSERT_EQ(file.queries(), 15);
  const fs::path kept = toy_.at("hard.h5.work/embeddings");
  const EmbeddingsReader texts(kept / "dataset9_text.h5"), pictures(kept / "dataset9_image.h5");
  const EmbeddingsReader words(kept / "dataset9_task1.h5"), views(kept / "dataset9_task4.h5");
  for (int64_t q = 0; q < 12; ++q) {
    const MinedQuery mined = file.read(*file.find(fmt::format("9:{}", q)));
    EXPECT_EQ(ids_of(mined), brute_force(words, q, texts, "", 4));
    ASSERT_EQ(mined.positives.size(), 1u);
    EXPECT_EQ(mined.positives[0].id, fmt::format("9:{}", 100 + q));
  }
  for (int64_t q = 0; q < 3; ++q)
    EXPECT_EQ(ids_of(file.read(*file.find(fmt::format("9:{}", 50 + q)))),
              brute_force(views, q, pictures, fmt::format("9:{}", 200 + q), 4));
  const HardNegativesInfo& info = file.info();
  EXPECT_EQ(info.model_sha256, words.info().model_sha256);
  EXPECT_EQ(info.adapter_sha256, "");
  EXPECT_EQ(info.config_sha256, config().sha256());
  EXPECT_EQ(info.depth, 4);
  EXPECT_EQ(info.corpus, "pool.jsonl, task");
  EXPECT_THAT(info.filters, HasSubstr("on_empty: drop_query"));
  EXPECT_EQ(info.counts, MiningCounts{});
}

TEST_F(MineTest, TheFileIsTheSameForEveryNumberOfRanksAndBlockSize) {
  mine();
  EXPECT_FALSE(fs::exists(toy_.at("hard.h5.work"))) << "removed when the file is whole";
  for (const int64_t ranks : {1, 2, 3}) {
    const std::string name = fmt::format("ranks{}.h5", ranks);
    const auto mined = config({"out=" + out(name).string(), fmt::format("block_queries={}", 2 * ranks + 1),
                               "embed.block_records=2", "search.block_rows=3"});
    run_ranks(ranks, [&](Communicator& communicator) {
      trireme::mine(mined, communicator, {[](auto...) {}, [](const std::string&) {}});
    });
    const HardNegativesFile one = HardNegativesFile::open(out("hard.h5")), other = HardNegativesFile::open(out(name));
    EXPECT_EQ(one.info(), other.info());
    EXPECT_EQ(one.read(0, 15), other.read(0, 15));
    EXPECT_TRUE(bytes(name) == bytes());
  }
}

TEST_F(MineTest, AKilledJobGoesOnWhereItWasAndWritesTheSameBytes) {
  const std::vector<std::string> blocks = {"block_queries=4"};  // 3 of the words, 1 of the pictures
  mine(blocks);
  const std::string whole = bytes();
  fs::remove(out("hard.h5"));
  // Two events a block: searched, and written.
  for (int64_t event = 0; event < 8; ++event) {
    SCOPED_TRACE(event);
    EXPECT_THROW(mine(blocks, event), Killed);
    EXPECT_FALSE(fs::exists(out("hard.h5")));
    const MineReport again = mine(blocks);
    EXPECT_EQ(again.blocks, 4);
    EXPECT_EQ(again.blocks_done_before, (event + 1) / 2);
    EXPECT_EQ(again.embedded_before, again.records) << "embeddings are kept too";
    EXPECT_THAT(notices_, IsEmpty());
    EXPECT_TRUE(bytes() == whole);
    fs::remove(out("hard.h5"));
  }
}

TEST_F(MineTest, ListsOfAnotherConfigAreNamedAndMinedAgain) {
  const std::vector<std::string> blocks = {"block_queries=4"};
  EXPECT_THROW(mine(blocks, 5), Killed);
  const MineReport again = mine({"block_queries=4", "depth=3", "filters.skip_ranks=1"});
  EXPECT_EQ(again.blocks_done_before, 0);
  EXPECT_EQ(again.embedded_before, again.records) << "neither changes an embedding";
  EXPECT_THAT(notices_, ElementsAre(AllOf(HasSubstr("hard.h5.work/lists"), HasSubstr("depth was 4 and is 3"),
                                          HasSubstr("filters.skip_ranks was 0 and is 1"))));
  EXPECT_EQ(HardNegativesFile::open(out("hard.h5")).info().depth, 3);
}

TEST_F(MineTest, ListsOfOtherDataAreNamedAndMinedAgain) {
  const std::vector<std::string> blocks = {"block_queries=4"};
  EXPECT_THROW(mine(blocks, 7), Killed);
  std::string pool = bytes("pool.jsonl");
  pool.replace(pool.find("red apple"), 9, "old apple");
  toy_.write("pool.jsonl", pool);
  const MineReport again = mine(blocks);
  EXPECT_EQ(again.blocks_done_before, 1) << "the pictures are as they were";
  EXPECT_EQ(again.embedded_before, again.records - 14) << "the texts are others";
  ASSERT_EQ(notices_.size(), 4u);
  EXPECT_THAT(notices_[0], AllOf(HasSubstr("dataset9_text.h5"), HasSubstr("embedded anew: records differ")));
  EXPECT_THAT(notices_[1], AllOf(HasSubstr("dataset9_task1.0-4.h5"), HasSubstr("of other records")));
  const std::string resumed = bytes();
  mine(blocks);
  EXPECT_TRUE(bytes() == resumed);
}

TEST_F(MineTest, FiltersAreCountedAndWrittenDown) {
  const MineReport report = mine({"depth=4", "filters.duplicate_pictures=same_bytes", "filters.same_concept=true",
                                  "filters.last_rank=3", "filters.on_empty=keep_unfiltered"});
  const HardNegativesFile file = HardNegativesFile::open(out("hard.h5"));
  EXPECT_EQ(file.info().counts, report.counts);
  EXPECT_GT(report.counts.rank_window, 0);
  EXPECT_GT(report.counts.near_duplicate, 0);
  // The picture of 9:203 is that of 9:200, positive of the query 9:52.
  const MinedQuery query = file.read(*file.find("9:52"));
  EXPECT_EQ(query.positives[0].id, "9:200");
  for (const MinedDocument& document : query.documents) EXPECT_NE(document.id, "9:203");
}

TEST_F(MineTest, BalancingLeavesWhatIsPositiveElsewhere) {
  const MineReport plain = mine();
  const MineReport report = mine({"filters.balance=2", "filters.on_empty=keep_unfiltered"});
  EXPECT_GT(report.counts.balance, 0);
  EXPECT_LT(plain.prior.nats, report.prior.nats) << "a document alone tells less";
  const HardNegativesFile file = HardNegativesFile::open(out("hard.h5"));
  EXPECT_EQ(file.info().prior, report.prior);
  EXPECT_EQ(file.info().counts, report.counts);
  for (int64_t q = 0; q < file.queries(); ++q) {
    const MinedQuery query = file.read(q);
    // 9:112 and 9:113 are nobody's positive.
    for (const MinedDocument& document : query.documents) EXPECT_THAT(document.id, Not(AnyOf("9:112", "9:113")));
    EXPECT_LE(std::ranges::count(query.documents, false, &MinedDocument::positive), 2);
  }
  const std::string one = bytes();
  mine({"filters.balance=2", "filters.on_empty=keep_unfiltered", "block_queries=3"});
  EXPECT_TRUE(bytes() == one) << "other blocks";
}

TEST_F(MineTest, KnownPositivesOfQrelsAreNoNegatives) {
  mine();
  const MinedQuery before = HardNegativesFile::open(out("hard.h5")).read(0);
  const auto negative = std::ranges::find(before.documents, false, &MinedDocument::positive);
  toy_.write("more.txt", fmt::format("{} 0 {} 1 1\n", before.id, negative->id));
  const MineReport report = mine({"filters.known_positives=[more.txt]"});
  EXPECT_EQ(report.counts, (MiningCounts{.known_positive = 1}));
  for (const MinedDocument& document : HardNegativesFile::open(out("hard.h5")).read(0).documents)
    EXPECT_NE(document.id, negative->id);
}

TEST_F(MineTest, RefusalsLeaveTheOldFile) {
  toy_.write("hard.h5", "old");
  EXPECT_THAT(message_of<ConfigError>([&] { mine({"depth=5"}); }),
              AllOf(HasSubstr("dataset 9, task 4"), HasSubstr("got 5 and 5 documents, 1 of them")));
  EXPECT_THAT(message_of<DataError>([&] { mine({"source.pool=none.jsonl"}); }), HasSubstr("none.jsonl"));
  EXPECT_THAT(message_of<DataError>([&] { mine({"filters.known_positives=[none.txt]"}); }), HasSubstr("none.txt"));
  EXPECT_THAT(message_of<DataError>([&] {
                mine({"filters.last_rank=1", "filters.skip_ranks=0", "filters.absolute_margin=9"});
              }),
              HasSubstr("a query must be left"));
  EXPECT_THAT(message_of<DataError>([&] {
                mine({"filters.absolute_margin=9", "filters.on_empty=fail"});
              }),
              AllOf(HasSubstr("dataset9_task1.jsonl:1"), HasSubstr("filters.on_empty")));
  EXPECT_EQ(bytes(), "old");
}

TEST_F(MineTest, MemoryDoesNotGrowWithTheQueries) {
  test::CountedMemory& memory = test::CountedMemory::install();
  // The peak while blocks of 8 queries are mined, after everything is embedded.
  const auto peak_of = [&](int copies) {
    std::string queries;
    for (int i = 0; i < copies; ++i)
      queries += fmt::format(R"({{"qid": "9:{}", "query_txt": "a word {}", "query_img_path": null, )"
                             R"("query_modality": "text", "task_id": 1, "pos_cand_list": ["9:100"]}})"
                             "\n",
                             i, i);
    toy_.write("train.jsonl", queries);
    const int64_t before = memory.live_bytes();
    bool mining = false;
    SelfCommunicator self;
    trireme::mine(config({"block_queries=8"}), self,
                  {.progress =
                       [&](std::string_view phase, std::string_view, int64_t, int64_t) {
                         if (phase != "mine" || std::exchange(mining, true)) return;
                         memory.restart_peak();
                       },
                   .notice = [](const std::string&) {}});
    return memory.peak_bytes() - before;
  };
  const int64_t few = peak_of(16), many = peak_of(512);
  EXPECT_GT(few, 0);
  EXPECT_LT(many, few + 4096) << "496 more vectors of 16 values alone are 31,744 bytes";
}

}  // namespace
}  // namespace trireme
