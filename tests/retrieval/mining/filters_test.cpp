#include "retrieval/mining/filters.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/config.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "data/sources/candidate_pool.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using enum FilterVerdict;

const std::filesystem::path kImages = std::filesystem::path(TRIREME_TEST_DIR) / "golden/embed/images";

/// Rows 10..15 at falling scores; row 12 is a positive with 0.6.
struct Fixture {
  std::vector<int64_t> rows{10, 11, 12, 13, 14, 15}, positives{12}, known{};
  std::vector<float> scores{0.9F, 0.75F, 0.6F, 0.58F, 0.5F, -0.1F}, positive_scores{0.6F};

  std::vector<FilterVerdict> judged(const FilterConfig& filters, const PoolFacts& facts = {},
                                    int64_t concept_id = 0) const {
    return judge({rows, scores, positives, positive_scores, known, concept_id}, filters, facts);
  }
};

TEST(Filters, DropNothingUnlessAskedFor) {
  EXPECT_THAT(Fixture{}.judged({}), ElementsAre(kKept, kKept, kPositive, kKept, kKept, kKept));
}

TEST(Filters, RankWindowCountsPositivesAsRanks) {
  FilterConfig filters;
  filters.skip_ranks = 1;
  filters.last_rank = 4;
  EXPECT_THAT(Fixture{}.judged(filters), ElementsAre(kRankWindow, kKept, kPositive, kKept, kRankWindow, kRankWindow));
}

TEST(Filters, AbsoluteMarginDropsWhatScoresAboveThePositiveLessTheMargin) {
  FilterConfig filters;
  filters.absolute_margin = 0.0;
  EXPECT_THAT(Fixture{}.judged(filters), ElementsAre(kAbsoluteMargin, kAbsoluteMargin, kPositive, kKept, kKept, kKept));
  filters.absolute_margin = 0.05;
  EXPECT_THAT(Fixture{}.judged(filters),
              ElementsAre(kAbsoluteMargin, kAbsoluteMargin, kPositive, kAbsoluteMargin, kKept, kKept));
}

TEST(Filters, RelativeMarginIsAShareOfThePositiveScore) {
  FilterConfig filters;
  filters.relative_margin = 0.95;  // 0.57
  EXPECT_THAT(Fixture{}.judged(filters),
              ElementsAre(kRelativeMargin, kRelativeMargin, kPositive, kRelativeMargin, kKept, kKept));
  filters.relative_margin = 1.0;
  EXPECT_THAT(Fixture{}.judged(filters), ElementsAre(kRelativeMargin, kRelativeMargin, kPositive, kKept, kKept, kKept));
}

TEST(Filters, RelativeMarginOfAGoldScoreBelowZeroIsBelowIt) {
  Fixture list;
  list.rows = {10, 11, 12};
  list.scores = {-0.2F, -0.22F, -0.25F};
  list.positives = {99};
  list.positive_scores = {-0.2F};
  FilterConfig filters;
  filters.relative_margin = 0.8;  // -0.24
  EXPECT_THAT(list.judged(filters), ElementsAre(kRelativeMargin, kRelativeMargin, kKept));
}

TEST(Filters, MarginsAreMeasuredFromThePositiveThatIsAskedFor) {
  Fixture list;
  list.positives = {12, 15};
  list.positive_scores = {0.6F, -0.1F};
  FilterConfig filters;
  filters.absolute_margin = 0.0;
  EXPECT_THAT(list.judged(filters), ElementsAre(kAbsoluteMargin, kAbsoluteMargin, kPositive, kKept, kKept, kPositive));
  filters.margin_from = MarginFrom::kWorstPositive;
  EXPECT_THAT(list.judged(filters),
              ElementsAre(kAbsoluteMargin, kAbsoluteMargin, kPositive, kAbsoluteMargin, kAbsoluteMargin, kPositive));
}

TEST(Filters, KnownPositivesAreDropped) {
  Fixture list;
  list.known = {15, 12, 77};
  EXPECT_THAT(list.judged({}), ElementsAre(kKept, kKept, kPositive, kKept, kKept, kKnownPositive));
}

TEST(Filters, ADocumentCountsForTheFirstFilterThatDropsIt) {
  Fixture list;
  list.known = {10, 11, 13};
  FilterConfig filters;
  filters.skip_ranks = 1;
  filters.absolute_margin = 0.1;
  filters.relative_margin = 0.9;
  MiningCounts counts;
  for (const FilterVerdict verdict : list.judged(filters)) count(verdict, counts);
  EXPECT_EQ(counts, (MiningCounts{.rank_window = 1, .absolute_margin = 2}));
}

/// A pool of two files: pictures with and without concept, a copy of one, the same one saved anew, and a text.
class PoolFactsTest : public ::testing::Test {
 protected:
  PoolFactsTest() {
    std::filesystem::copy(kImages, folder_.path() / "images");
    std::filesystem::copy(kImages / "gradient.png", folder_.path() / "images/copy.png");
    // A chunk after the end of the picture: other bytes, the same pixels.
    std::ofstream(folder_.path() / "images/anew.png", std::ios::binary)
        << read_text_file(kImages / "gradient.png") << "more";
    folder_.write("a.jsonl",
                  picture(0, "gradient.png", "tree") + picture(1, "wide.png", "") + picture(2, "copy.png", "bush"));
    folder_.write("b.jsonl", picture(3, "anew.png", "tree") +
                                 R"({"did": "9:4", "txt": "a tree", "img_path": null, "modality": "text", )"
                                 R"("concept": "tree"})"
                                 "\n");
    for (const char* name : {"a.jsonl", "b.jsonl"})
      files_.push_back(std::make_unique<RecordFile>(folder_.path() / name, RecordOptions{}));
  }
  static std::string picture(int id, const std::string& file, const std::string& concept_key) {
    return fmt::format(R"({{"did": "9:{}", "txt": null, "img_path": "images/{}", "modality": "image", )"
                       R"("concept": "{}"}})"
                       "\n",
                       id, file, concept_key);
  }
  PoolFacts facts(PoolFacts::Concepts concepts = PoolFacts::Concepts::kRead) const {
    return {{files_[0].get(), files_[1].get()}, folder_.path(), concepts};
  }

  TempFolder folder_;
  std::vector<std::unique_ptr<RecordFile>> files_;
};

TEST_F(PoolFactsTest, ConceptsAreReadOverAllFiles) {
  const PoolFacts read = facts();
  const int64_t tree = document_id("tree");
  EXPECT_EQ(read.concept_of(0), tree);
  EXPECT_EQ(read.concept_of(1), 0);
  EXPECT_EQ(read.concept_of(2), document_id("bush"));
  EXPECT_EQ(read.concept_of(3), tree);
  EXPECT_EQ(read.concept_of(4), tree);
  EXPECT_EQ(facts(PoolFacts::Concepts::kIgnored).concept_of(0), 0);
}

TEST_F(PoolFactsTest, SameConceptComparesWithTheQueryAndItsPositives) {
  Fixture list;
  list.rows = {3, 2, 1, 0};
  list.scores = {0.9F, 0.8F, 0.7F, 0.6F};
  list.positives = {0};
  list.positive_scores = {0.6F};
  FilterConfig filters;
  filters.same_concept = true;
  EXPECT_THAT(list.judged(filters, facts()), ElementsAre(kKnownPositive, kKept, kKept, kPositive));
  EXPECT_THAT(list.judged(filters, facts(), document_id("bush")),
              ElementsAre(kKnownPositive, kKnownPositive, kKept, kPositive));
}

TEST_F(PoolFactsTest, SamePicturesAreFoundByBytesAndByLook) {
  for (const int64_t ranks : {1, 2, 3}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      PoolFacts bytes = facts(), look = facts();
      for (int again = 0; again < 2; ++again) {
        bytes.hash_pictures({4, 3, 2, 1, 0, 0}, PictureComparison::kSameBytes, communicator);
        look.hash_pictures({0, 1, 2, 3}, PictureComparison::kDhash, communicator);
      }
      EXPECT_TRUE(bytes.same_picture(0, 2, PictureComparison::kSameBytes, 0));
      EXPECT_FALSE(bytes.same_picture(0, 3, PictureComparison::kSameBytes, 0));
      EXPECT_FALSE(bytes.same_picture(0, 1, PictureComparison::kSameBytes, 0));
      EXPECT_FALSE(bytes.same_picture(0, 4, PictureComparison::kSameBytes, 0)) << "a text has no picture";
      EXPECT_TRUE(look.same_picture(0, 3, PictureComparison::kDhash, 0));
      EXPECT_FALSE(look.same_picture(0, 1, PictureComparison::kDhash, 4));
      EXPECT_TRUE(look.same_picture(0, 1, PictureComparison::kDhash, 64));
    });
  }
}

TEST_F(PoolFactsTest, DuplicatePicturesOfPositivesAreDropped) {
  SelfCommunicator self;
  PoolFacts hashed = facts();
  hashed.hash_pictures({0, 1, 2, 3}, PictureComparison::kSameBytes, self);
  Fixture list;
  list.rows = {3, 2, 1, 0};
  list.scores = {0.9F, 0.8F, 0.7F, 0.6F};
  list.positives = {0};
  list.positive_scores = {0.6F};
  FilterConfig filters;
  filters.duplicate_pictures = PictureComparison::kSameBytes;
  EXPECT_THAT(list.judged(filters, hashed), ElementsAre(kKept, kNearDuplicate, kKept, kPositive));
}

TEST_F(PoolFactsTest, AMissingPictureIsRefusedByName) {
  std::filesystem::remove(folder_.path() / "images/wide.png");
  SelfCommunicator self;
  PoolFacts read = facts();
  EXPECT_THAT(message_of<DataError>([&] {
                read.hash_pictures({0, 1}, PictureComparison::kSameBytes, self);
              }),
              HasSubstr("wide.png"));
}

TEST(DifferenceHash, IsOneBitForEachRiseAlongARow) {
  // Nine columns and eight rows are taken as they are: grey rises along even rows and falls along odd ones.
  RgbImage image{8, 9, {}};
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 9; ++x)
      for (int channel = 0; channel < 3; ++channel)
        image.pixels.push_back(static_cast<uint8_t>(y % 2 == 0 ? 20 * x : 200 - 20 * x));
  EXPECT_EQ(difference_hash(image), 0xff00ff00ff00ff00u);
  image.pixels.assign(image.pixels.size(), 77);
  EXPECT_EQ(difference_hash(image), 0u);
}

TEST(DifferenceHash, StaysNearlyTheSameWhenThePictureIsScaled) {
  const MappedFile file(kImages / "gradient.png");
  const RgbImage image = decode_image(file.bytes(), "gradient.png");
  const uint64_t hash = difference_hash(image);
  for (const int64_t side : {40, 97, 200})
    EXPECT_TRUE(
        same_picture_hash(hash, difference_hash(resize_bicubic(image, side, side)), PictureComparison::kDhash, 4));
}

TEST(FilterConfig, ANarrowWindowIsRefused) {
  FilterConfig filters;
  filters.skip_ranks = 10;
  filters.last_rank = 10;
  EXPECT_THAT(message_of<ConfigError>([&] { Resolved<FilterConfig>::from(filters); }),
              HasSubstr("last_rank must be above skip_ranks; got 10 and 10"));
}

}  // namespace
}  // namespace trireme
