#include "core/io/embeddings_file.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hdf5.h"
#include "tests/core/io/disk_full.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const EmbeddingsInfo kInfo{
    "models/größe", "aa", "", "mrope", "cc", true, Fingerprint::from_json("{\"tokenizer\":\"ee\"}", "kInfo"), "stamps"};

std::vector<std::string> ids_of(int64_t first, int64_t count) {
  std::vector<std::string> ids;
  for (int64_t row = first; row < first + count; ++row) ids.push_back(fmt::format("id {}", row));
  return ids;
}

void write_rows(EmbeddingsWriter& writer, const torch::Tensor& embeddings, int64_t first, int64_t count) {
  writer.write(first, ids_of(first, count), embeddings.narrow(0, first, count));
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

class EmbeddingsFileTest : public ::testing::TestWithParam<c10::ScalarType> {};

TEST_P(EmbeddingsFileTest, RoundTripKeepsRowsIdsAndInfo) {
  const TempFolder folder;
  const torch::Tensor embeddings = at::randn({1000, 96});
  EmbeddingsWriter writer(folder.path() / "e.h5", 1000, 96, GetParam());
  write_rows(writer, embeddings, 700, 300);
  write_rows(writer, embeddings, 0, 1);
  write_rows(writer, embeddings, 1, 699);
  writer.commit(kInfo);
  const EmbeddingsReader reader(folder.path() / "e.h5");
  EXPECT_EQ(reader.rows(), 1000);
  EXPECT_EQ(reader.dim(), 96);
  EXPECT_EQ(reader.dtype(), GetParam());
  EXPECT_EQ(reader.info(), kInfo);
  EXPECT_TRUE(at::equal(reader.read(0, 1000), embeddings.to(GetParam())));
  EXPECT_TRUE(at::equal(reader.read(500, 3), embeddings.to(GetParam()).narrow(0, 500, 3)));
  EXPECT_EQ(reader.read_ids(0, 1000), ids_of(0, 1000));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

/// The parts of several ranks that deal blocks of rows round-robin, joined, and one rank's file.
TEST_P(EmbeddingsFileTest, JoinedPartsEqualTheFileOfOneRank) {
  const TempFolder folder;
  const auto whole = folder.path() / "whole.h5", joined = folder.path() / "joined.h5";
  struct Case {
    int64_t rows, block_rows;
    int ranks;
  };
  constexpr int64_t kDim = 300;
  for (const auto& [rows, block_rows, ranks] : {Case{1, 1, 1}, Case{1, 4, 3}, Case{700, 700, 1}, Case{700, 32, 2},
                                                Case{513, 7, 4}, Case{300, 100, 5}, Case{701, 256, 3}}) {
    SCOPED_TRACE(fmt::format("{} rows in blocks of {} over {} ranks", rows, block_rows, ranks));
    const torch::Tensor embeddings = at::randn({rows, kDim});
    EmbeddingsWriter alone(whole, rows, kDim, GetParam());
    write_rows(alone, embeddings, 0, rows);
    alone.commit(kInfo);

    std::vector<std::filesystem::path> parts;
    for (int rank = 0; rank < ranks; ++rank) {
      parts.push_back(embeddings_part_path(joined, rank));
      EmbeddingsWriter part(parts.back(), rows, kDim, GetParam(), EmbeddingsFileKind::kPart);
      for (int64_t first = rank * block_rows; first < rows; first += ranks * block_rows)
        write_rows(part, embeddings, first, std::min(block_rows, rows - first));
      part.commit(kInfo);
    }
    join_embedding_parts(parts, joined);
    const EmbeddingsReader a(whole), b(joined);
    EXPECT_EQ(a.info(), b.info());
    EXPECT_EQ(b.dtype(), GetParam());
    EXPECT_TRUE(at::equal(a.read(0, rows), b.read(0, rows)));
    EXPECT_EQ(a.read_ids(0, rows), b.read_ids(0, rows));
    EXPECT_EQ(files_in(folder.path()), 2u);
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, EmbeddingsFileTest, ::testing::Values(torch::kFloat32, torch::kFloat16));

TEST(EmbeddingsWriter, IsDeterministic) {
  const TempFolder folder;
  const torch::Tensor embeddings = at::randn({500, 64});
  for (const char* name : {"1", "2"}) {
    EmbeddingsWriter writer(folder.path() / name, 500, 64, torch::kFloat32);
    write_rows(writer, embeddings, 0, 500);
    writer.commit(kInfo);
  }
  EXPECT_EQ(read_text_file(folder.path() / "1"), read_text_file(folder.path() / "2"));
}

TEST(EmbeddingsWriter, TakesTensorsThatAreNotContiguousAndNeedGrad) {
  const TempFolder folder;
  const torch::Tensor embeddings = at::randn({4, 3}).requires_grad_().t();
  EmbeddingsWriter writer(folder.path() / "e.h5", 3, 4, torch::kFloat32);
  write_rows(writer, embeddings, 0, 3);
  writer.commit(kInfo);
  EXPECT_TRUE(at::equal(EmbeddingsReader(folder.path() / "e.h5").read(0, 3), embeddings));
}

TEST(EmbeddingsWriter, RefusesNanAndInfinityWithIdAndRow) {
  const TempFolder folder;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    EmbeddingsWriter writer(folder.path() / "e.h5", 8, 5, torch::kFloat32);
    torch::Tensor embeddings = at::zeros({8, 5});
    embeddings[6][4] = bad;
    EXPECT_THAT(message_of<DataError>([&] { write_rows(writer, embeddings, 3, 5); }),
                AllOf(HasSubstr("\"id 6\""), HasSubstr("row 6"), HasSubstr("finite")));
  }
  EXPECT_EQ(files_in(folder.path()), 0u) << "nothing of the three stays";
}

TEST(EmbeddingsWriter, RefusesValuesThatFloat16CannotHold) {
  const TempFolder folder;
  EmbeddingsWriter writer(folder.path() / "e.h5", 2, 3, torch::kFloat16);
  torch::Tensor embeddings = at::zeros({2, 3});
  embeddings[1][0] = 70000.f;
  EXPECT_THAT(message_of<DataError>([&] { write_rows(writer, embeddings, 0, 2); }),
              AllOf(HasSubstr("\"id 1\""), HasSubstr("65504"), HasSubstr("store float32")));
}

TEST(EmbeddingsWriter, RefusesRowsOfAnotherShapeOrDtype) {
  const TempFolder folder;
  EmbeddingsWriter writer(folder.path() / "e.h5", 2, 3, torch::kFloat32);
  EXPECT_THAT(message_of<ShapeError>([&] {
                writer.write(0, {"a", "b"}, at::zeros({2, 4}));
              }),
              AllOf(HasSubstr("[2, 3] float32"), HasSubstr("[2, 4]")));
  EXPECT_THAT(message_of<ShapeError>([&] { writer.write(0, {"a"}, at::zeros({2, 3})); }), HasSubstr("[1, 3]"));
  EXPECT_THAT(message_of<ShapeError>([&] {
                writer.write(0, {"a"}, at::zeros({1, 3}, torch::kHalf));
              }),
              HasSubstr("float16"));
}

TEST(EmbeddingsWriter, HoldsItsCallerToEveryRowOnce) {
  const TempFolder folder;
  EmbeddingsWriter writer(folder.path() / "e.h5", 3, 2, torch::kFloat32);
  writer.write(0, {"a", "b"}, at::zeros({2, 2}));
  EXPECT_THAT(message_of<InternalError>([&] { writer.write(1, {"b"}, at::zeros({1, 2})); }), HasSubstr("row 1"));
  EXPECT_THAT(message_of<InternalError>([&] {
                writer.write(2, {"c", "d"}, at::zeros({2, 2}));
              }),
              HasSubstr("[2, 4) of 3"));
  EXPECT_THAT(message_of<InternalError>([&] { writer.commit(kInfo); }), HasSubstr("2 of 3 rows"));
}

TEST(EmbeddingsWriter, OnAFullDiskLeavesTheOldFile) {
  const TempFolder folder;
  const auto path = folder.write("e.h5", "old");
  const std::string message = message_of<DataError>([&] {
    const test::DiskFull full(200'000);
    EmbeddingsWriter writer(path, 1000, 256, torch::kFloat32);
    write_rows(writer, at::randn({1000, 256}), 0, 1000);
    writer.commit(kInfo);
  });
  EXPECT_THAT(message, AllOf(HasSubstr(path.native()), HasSubstr("older file is intact")));
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

// joining

class JoinParts : public ::testing::Test {
 protected:
  /// A part of a file of 6 rows of 2 values: blocks of {first row, rows}.
  void add(const std::vector<std::pair<int64_t, int64_t>>& blocks, const EmbeddingsInfo& info = kInfo,
           int64_t dim = 2) {
    parts_.push_back(embeddings_part_path(out_, static_cast<int>(parts_.size())));
    EmbeddingsWriter part(parts_.back(), 6, dim, torch::kFloat32, EmbeddingsFileKind::kPart);
    for (const auto& [first, rows] : blocks) part.write(first, ids_of(first, rows), at::zeros({rows, dim}));
    part.commit(info);
  }
  void add_with_skipped(const std::vector<std::pair<int64_t, int64_t>>& blocks, const std::vector<int64_t>& skipped) {
    parts_.push_back(embeddings_part_path(out_, static_cast<int>(parts_.size())));
    EmbeddingsWriter part(parts_.back(), 6, 2, torch::kFloat32, EmbeddingsFileKind::kPart);
    for (const auto& [first, rows] : blocks) part.write(first, ids_of(first, rows), at::full({rows, 2}, double(first)));
    for (const int64_t row : skipped) part.skip({row, fmt::format("id {}", row), "no\x1b[2J picture"});
    part.commit(kInfo);
  }
  std::string refusal() {
    const std::string message = message_of<DataError>([&] { join_embedding_parts(parts_, out_); });
    EXPECT_EQ(files_in(folder_.path()), 0u) << "no part and no output stays";
    return message;
  }
  TempFolder folder_;
  std::filesystem::path out_ = folder_.path() / "e.h5";
  std::vector<std::filesystem::path> parts_;
};

TEST_F(JoinParts, LeavesSkippedRowsOutAndNamesThem) {
  add_with_skipped({{0, 1}, {5, 1}}, {4});
  add_with_skipped({{2, 2}}, {1});
  join_embedding_parts(parts_, out_);
  const EmbeddingsReader joined(out_);
  EXPECT_EQ(joined.rows(), 4);
  EXPECT_THAT(joined.read_ids(0, 4), ElementsAre("id 0", "id 2", "id 3", "id 5"));
  EXPECT_EQ(joined.read(1, 1)[0][0].item<float>(), 2);
  EXPECT_EQ(joined.read(3, 1)[0][0].item<float>(), 5);
  EXPECT_THAT(joined.skipped(),
              ElementsAre(SkippedRow{1, "id 1", "no\\x1b[2J picture"}, SkippedRow{4, "id 4", "no\\x1b[2J picture"}));
}

TEST_F(JoinParts, RefusesWhenEveryRowIsSkipped) {
  add_with_skipped({}, {0, 1, 2});
  add_with_skipped({}, {5, 4, 3});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("6 that are not"), HasSubstr("picture")));
}

TEST_F(JoinParts, RefusesARowThatIsSkippedAndWritten) {
  add_with_skipped({{0, 6}}, {});
  add_with_skipped({}, {3});
  EXPECT_THAT(refusal(), HasSubstr("every row must be in one part"));
}

TEST_F(JoinParts, TakesEmptyPartsAndBlocksInAnyOrder) {
  add({{4, 2}, {0, 1}});
  add({});
  add({{1, 3}});
  join_embedding_parts(parts_, out_);
  EXPECT_EQ(EmbeddingsReader(out_).read_ids(0, 6), ids_of(0, 6));
  EXPECT_EQ(files_in(folder_.path()), 1u);
}

TEST_F(JoinParts, NamesRowsThatNoPartHas) {
  add({{0, 2}});
  add({{3, 3}});
  EXPECT_THAT(refusal(), HasSubstr("rows 2 to 2"));
  parts_.clear();
  add({{0, 4}});
  EXPECT_THAT(refusal(), HasSubstr("rows 4 to 5"));
}

TEST_F(JoinParts, NamesTheRowThatTwoPartsHave) {
  add({{0, 4}});
  add({{3, 3}});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("row 3"), HasSubstr("e.h5.part-0"), HasSubstr("e.h5.part-1")));
}

TEST_F(JoinParts, RefusesPartsOfAnotherRun) {
  add({{0, 3}});
  EmbeddingsInfo other = kInfo;
  other.model_sha256 = "bb";
  add({{3, 3}}, other);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("e.h5.part-1"), HasSubstr("same run"), HasSubstr("bb")));
  parts_.clear();
  other = kInfo;
  other.fingerprint.set(FingerprintPart::kRecords, "one");
  add({{0, 3}});
  add({{3, 3}}, other);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("same run"), HasSubstr("fingerprint")));
  parts_.clear();
  add({{0, 3}});
  add({{3, 3}}, kInfo, 3);
  EXPECT_THAT(refusal(), HasSubstr("6 rows of 3 float32"));
}

TEST_F(JoinParts, RefusesAMissingPart) {
  add({{0, 6}});
  parts_.push_back(embeddings_part_path(out_, 1));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("e.h5.part-1"), HasSubstr("No such file")));
}

TEST_F(JoinParts, RefusesAWholeFileAsAPart) {
  parts_.push_back(embeddings_part_path(out_, 0));
  EmbeddingsWriter writer(parts_[0], 1, 2, torch::kFloat32);
  writer.write(0, {"a"}, at::zeros({1, 2}));
  writer.commit(kInfo);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("e.h5.part-0"), HasSubstr("embeddings_part")));
}

TEST_F(JoinParts, OnAFullDiskLeavesTheOldFileAndNoParts) {
  folder_.write("e.h5", "old");
  add({{0, 6}});
  {
    const test::DiskFull full(1000);
    EXPECT_THAT(message_of<DataError>([&] { join_embedding_parts(parts_, out_); }), HasSubstr(out_.native()));
  }
  EXPECT_EQ(read_text_file(out_), "old");
  EXPECT_EQ(files_in(folder_.path()), 1u);
}

// files of others

class ForeignFile : public ::testing::Test {
 protected:
  ForeignFile() : writer_(path_) {
    writer_.set_format({"embeddings", 1, "cc"});
    for (const char* name : {"model", "model_sha256", "adapter_sha256", "rope_mode"}) writer_.set_attribute(name, "x");
  }
  std::string refusal() {
    writer_.commit();
    return message_of<DataError>([&] { EmbeddingsReader{path_}; });
  }
  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "e.h5";
  Hdf5Writer writer_;
};

TEST_F(ForeignFile, MustHaveEveryAttribute) {
  EXPECT_THAT(refusal(), AllOf(HasSubstr("e.h5"), HasSubstr("attribute normalized; got none")));
}

TEST_F(ForeignFile, MustHaveAFlagOfZeroOrOne) {
  writer_.set_attribute("normalized", int64_t{2});
  EXPECT_THAT(refusal(), HasSubstr("normalized must be 0 or 1; got 2"));
}

TEST_F(ForeignFile, MustHaveAnEmbeddingTable) {
  writer_.set_attribute("normalized", int64_t{1});
  writer_.create("embedding", torch::kInt64, {2, 3});
  writer_.create_strings("id", {2});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("[N, D] float32 or float16"), HasSubstr("[2, 3] int64")));
}

TEST_F(ForeignFile, MustHaveOneIdPerRow) {
  writer_.set_attribute("normalized", int64_t{1});
  writer_.create("embedding", torch::kFloat32, {2, 3});
  writer_.create_strings("id", {3});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("/id must be [2] strings"), HasSubstr("got [3] strings")));
}

TEST(EmbeddingsReader, ReadsAFileThatH5pyWrote) {  // golden: tests/golden/core_io/make.py
  const EmbeddingsReader reader(std::filesystem::path(TRIREME_TEST_DIR) / "golden/core_io/by_h5py.h5");
  EXPECT_EQ(reader.info(), (EmbeddingsInfo{"my model", "", "", "oned", "", false}));
  EXPECT_EQ(reader.dtype(), torch::kHalf);
  EXPECT_TRUE(at::equal(reader.read(0, 4), at::arange(12).reshape({4, 3}).to(torch::kHalf)));
  EXPECT_THAT(reader.read_ids(0, 4), ElementsAre("a", "größe", "", "東京"));
}

TEST(EmbeddingsReader, RefusesAnotherFormat) {
  const TempFolder folder;
  Hdf5Writer writer(folder.path() / "run.h5");
  writer.set_format({"run", 1, ""});
  writer.commit();
  EXPECT_THAT(message_of<DataError>([&] { EmbeddingsReader(folder.path() / "run.h5"); }),
              AllOf(HasSubstr("run.h5"), HasSubstr("\"embeddings\""), HasSubstr("got \"run\"")));
}

}  // namespace
}  // namespace trireme
