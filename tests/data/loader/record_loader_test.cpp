#include "data/loader/record_loader.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>

#include "core/io/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A 64 x 40 gradient.
constexpr const char* kImage = TRIREME_TEST_DIR "/golden/loader/picture.png";

class RecordLoaderTest : public ::testing::Test {
 protected:
  RecordLoaderTest() {
    std::filesystem::create_directories(folder_.path() / "images");
    std::filesystem::copy(kImage, folder_.path() / "images/a.png");
    options_.image_root = folder_.path() / "images";
    options_.image_processor = ImageProcessorConfig{};
    options_.pack.image_token_id = pad_;
    options_.records_per_block = 4;
  }

  /// Every third record with an image, texts of growing length.
  RecordFile records(int64_t count) {
    std::string text;
    for (int64_t i = 0; i < count; ++i) {
      text += fmt::format("{{\"id\": \"r{}\", \"txt\": \"{}\", \"img_path\": {}}}\n", i, std::string(3 * i + 1, 'x'),
                          i % 3 == 0 ? "\"a.png\"" : "null");
    }
    return RecordFile(folder_.write("r.jsonl", text), {});
  }

  /// Everything this rank gets, by first row.
  std::map<int64_t, LoadedBatch> load(const RecordFile& file, int64_t rank = 0, int64_t ranks = 1) {
    std::map<int64_t, LoadedBatch> out;
    RecordLoader loader(file, prompt_, options_, rank, ranks);
    while (auto batch = loader.next()) {
      const int64_t first = batch->first_row;
      EXPECT_TRUE(out.emplace(first, std::move(*batch)).second);
    }
    return out;
  }

  TempFolder folder_;
  Tokenizer tokenizer_ = Tokenizer::from_file(TRIREME_TEST_DIR "/golden/embed/model/tokenizer.json");
  int64_t pad_ = tokenizer_.token_to_id("<|image_pad|>").value();
  ChatEncoder encoder_{tokenizer_, pad_, std::string(kQwenSystemPrompt)};
  EmbeddingPrompt prompt_{tokenizer_, encoder_, EmbeddingPromptOptions{}};
  RecordLoaderOptions options_;
};

void expect_equal(const std::map<int64_t, LoadedBatch>& a, const std::map<int64_t, LoadedBatch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [row, batch] : a) {
    const LoadedBatch& other = b.at(row);
    EXPECT_EQ(batch.ids, other.ids);
    EXPECT_TRUE(at::equal(batch.batch.tokens, other.batch.tokens));
    EXPECT_TRUE(at::equal(batch.batch.position_ids, other.batch.position_ids));
    EXPECT_TRUE(at::equal(batch.batch.cu_seqlens, other.batch.cu_seqlens));
    EXPECT_TRUE(at::equal(batch.batch.patches, other.batch.patches));
  }
}

TEST_F(RecordLoaderTest, GivesEveryRecordOnceInBlocks) {
  const RecordFile file = records(10);
  std::vector<std::string> ids;
  for (const auto& [row, batch] : load(file)) {
    EXPECT_EQ(row % options_.records_per_block, 0);
    EXPECT_EQ(batch.batch.cu_seqlens.size(0), std::ssize(batch.ids) + 1);
    ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
  }
  ASSERT_EQ(ids.size(), 10u);
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], fmt::format("r{}", i));
}

TEST_F(RecordLoaderTest, BatchesDependOnNeitherRanksNorThreads) {
  const RecordFile file = records(23);
  const auto one = load(file);
  for (int64_t ranks : {2, 3, 8}) {
    for (int64_t threads : {1, 3}) {
      options_.threads = threads;
      std::map<int64_t, LoadedBatch> together;
      for (int64_t rank = 0; rank < ranks; ++rank) together.merge(load(file, rank, ranks));
      expect_equal(one, together);
    }
  }
}

TEST_F(RecordLoaderTest, BatchesComeInTheOrderOfTheFile) {
  const RecordFile file = records(60);
  options_.threads = 4;
  options_.tokens_per_batch = 120;
  RecordLoader loader(file, prompt_, options_, 0, 1);
  int64_t row = 0;
  while (const auto batch = loader.next()) {
    EXPECT_EQ(batch->first_row, row);
    row += std::ssize(batch->ids);
  }
  EXPECT_EQ(row, 60);
}

TEST_F(RecordLoaderTest, CutsABlockBeforeItExceedsTheTokenBound) {
  const RecordFile file = records(9);
  options_.records_per_block = 9;
  options_.tokens_per_batch = 80;
  std::size_t seen = 0;
  for (const auto& [row, batch] : load(file)) {
    EXPECT_EQ(row, static_cast<int64_t>(seen));
    EXPECT_TRUE(batch.batch.tokens.size(0) <= options_.tokens_per_batch || batch.ids.size() == 1);
    seen += batch.ids.size();
  }
  EXPECT_EQ(seen, 9u);
}

TEST_F(RecordLoaderTest, ARankWithoutRecordsGetsNone) {
  const RecordFile file = records(3);
  EXPECT_TRUE(load(file, 1, 2).empty());
}

TEST_F(RecordLoaderTest, SkipsWhatCannotBeReadWhenAsked) {
  folder_.write("images/broken.png", "no image at all");
  std::string text;
  const std::set<int64_t> broken = {0, 1, 5, 8, 9, 10, 11, 13};  // a block's first, a whole block, the last record
  for (int64_t i = 0; i < 14; ++i)
    text += fmt::format("{{\"id\": \"r{}\", \"txt\": \"x\", \"img_path\": {}}}\n", i,
                        broken.contains(i) ? "\"broken.png\"" : "null");
  const RecordFile file(folder_.write("r.jsonl", text), {});
  EXPECT_THAT(message_of<DataError>([&] { load(file); }), HasSubstr("broken.png"));
  options_.on_error = OnDataError::kSkip;
  const auto one = load(file);
  std::set<int64_t> rows, skipped;
  for (const auto& [first_row, batch] : one) {
    EXPECT_EQ(batch.ids.empty(), !batch.batch.tokens.defined());
    for (std::size_t i = 0; i < batch.ids.size(); ++i) {
      const int64_t row = first_row + static_cast<int64_t>(i);
      EXPECT_EQ(batch.ids[i], fmt::format("r{}", row));
      EXPECT_TRUE(rows.insert(row).second);
    }
    for (const SkippedRow& each : batch.skipped) {
      EXPECT_EQ(each.id, fmt::format("r{}", each.row));
      EXPECT_THAT(each.reason, AllOf(HasSubstr(fmt::format("r.jsonl:{}", each.row + 1)), HasSubstr("broken.png")));
      EXPECT_TRUE(skipped.insert(each.row).second);
    }
  }
  EXPECT_EQ(skipped, broken);
  EXPECT_EQ(rows.size(), 14 - broken.size());
  options_.threads = 3;
  auto together = load(file, 0, 2);
  together.merge(load(file, 1, 2));
  ASSERT_EQ(together.size(), one.size());
  for (const auto& [first_row, batch] : one) EXPECT_EQ(together.at(first_row).ids, batch.ids);
}

TEST_F(RecordLoaderTest, ABrokenImageStopsItWithRecordAndFile) {
  std::filesystem::resize_file(folder_.path() / "images/a.png", 20);
  const RecordFile file = records(3);
  EXPECT_THAT(message_of<DataError>([&] { load(file); }), AllOf(HasSubstr("r.jsonl:1"), HasSubstr("a.png")));
  std::filesystem::remove(folder_.path() / "images/a.png");
  EXPECT_THAT(message_of<DataError>([&] { load(file); }), AllOf(HasSubstr("r.jsonl:1"), HasSubstr("image_root")));
}

TEST_F(RecordLoaderTest, TheFirstBadRecordStopsItAfterTheBlocksBefore) {
  std::string text;
  for (int64_t i = 0; i < 40; ++i)
    text += fmt::format("{{\"id\": \"r{}\", \"txt\": \"x\", \"img_path\": {}}}\n", i,
                        i == 18 || i == 19 || i == 25 ? "\"none.png\"" : "null");
  const RecordFile file(folder_.write("r.jsonl", text), {});
  options_.threads = 4;
  RecordLoader loader(file, prompt_, options_, 0, 1);
  int64_t rows = 0;
  EXPECT_THAT(message_of<DataError>([&] {
                while (const auto batch = loader.next()) rows += std::ssize(batch->ids);
              }),
              HasSubstr("r.jsonl:19"));
  EXPECT_EQ(rows, 16);
}

TEST_F(RecordLoaderTest, CanBeLeftInTheMiddle) {
  const RecordFile file = records(50);
  options_.threads = 3;
  RecordLoader loader(file, prompt_, options_, 0, 1);
  EXPECT_TRUE(loader.next().has_value());
}

}  // namespace
}  // namespace trireme
