#include "core/io/hdf5.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/io/file.h"
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

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && at::equal(a, b);
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// Fewer and larger than one chunk of 256 KiB.
constexpr int64_t kRows = 1000, kDim = 300;

class Hdf5DtypeTest : public ::testing::TestWithParam<c10::ScalarType> {};

TEST_P(Hdf5DtypeTest, RoundTripKeepsEveryBit) {
  const TempFolder folder;
  const torch::Tensor values = at::randn({kRows, kDim}).mul(100).to(GetParam());
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.create("x", GetParam(), {kRows, kDim});
  writer.write("x", 0, values);
  writer.commit();
  const Hdf5Reader reader(folder.path() / "a.h5");
  EXPECT_EQ(reader.dtype("x"), GetParam());
  EXPECT_EQ(reader.shape("x"), (std::vector<int64_t>{kRows, kDim}));
  EXPECT_TRUE(same(reader.read("x", 0, kRows), values));
  EXPECT_TRUE(same(reader.read("x", 217, 5), values.narrow(0, 217, 5)));
  EXPECT_TRUE(same(reader.read("x", kRows, 0), values.narrow(0, kRows, 0)));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Hdf5DtypeTest,
                         ::testing::Values(torch::kFloat32, torch::kFloat16, torch::kInt64, torch::kInt32));

TEST(Hdf5Writer, GivesTheSameBytesForTheSameCallsAtAnotherTime) {
  const TempFolder folder;
  for (const char* name : {"1", "2"}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // the library's time stamps are whole seconds
    Hdf5Writer writer(folder.path() / name);
    writer.create("x", torch::kInt64, {4});
    writer.write("x", 0, at::arange(4));
    writer.create_strings("id", {2});
    writer.write_strings("id", 0, std::vector<std::string>{"a", "b"});
    writer.set_format({"test", 1, "c0ffee"});
    writer.commit();
  }
  EXPECT_EQ(read_text_file(folder.path() / "1"), read_text_file(folder.path() / "2"));
}

/// Rows in blocks of random sizes, dealt in the given order.
void expect_blocks_make_the_whole(bool shuffled, const std::vector<int64_t>& shape) {
  const TempFolder folder;
  const torch::Tensor values = at::randn({20'000, 16});
  std::mt19937 random(7);
  std::vector<std::pair<int64_t, int64_t>> blocks;
  for (int64_t row = 0; row < values.size(0);) {
    const int64_t count = std::min<int64_t>(values.size(0) - row, 1 + static_cast<int64_t>(random() % 700));
    blocks.emplace_back(row, count);
    row += count;
  }
  if (shuffled) std::shuffle(blocks.begin(), blocks.end(), random);
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.create("x", torch::kFloat32, shape);
  for (const auto& [row, count] : blocks) writer.write("x", row, values.narrow(0, row, count));
  writer.commit();
  EXPECT_TRUE(same(Hdf5Reader(folder.path() / "a.h5").read("x", 0, values.size(0)), values));
}

TEST(Hdf5Writer, TakesBlocksOfRowsInOrder) {
  expect_blocks_make_the_whole(false, {20'000, 16});
  expect_blocks_make_the_whole(false, {kGrowingRows, 16});
}

TEST(Hdf5Writer, TakesBlocksOfRowsInAnyOrder) {
  expect_blocks_make_the_whole(true, {20'000, 16});
  expect_blocks_make_the_whole(true, {kGrowingRows, 16});
}

TEST(Hdf5Writer, KeepsPartialChunksOutOfMemoryInTheFile) {
  // Every second row first: with rows of 128 KiB a chunk has 2, so 30 chunks are begun before any is done.
  const TempFolder folder;
  const torch::Tensor values = at::randn({60, 32'768});
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.create("x", torch::kFloat32, {60, 32'768});
  for (const int64_t first : {0, 1})
    for (int64_t row = first; row < 60; row += 2) writer.write("x", row, values.narrow(0, row, 1));
  writer.commit();
  EXPECT_TRUE(same(Hdf5Reader(folder.path() / "a.h5").read("x", 0, 60), values));
}

TEST(Hdf5Writer, LeavesZerosAndEmptyTextWhereNothingWasWritten) {
  const TempFolder folder;
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.create("x", torch::kInt64, {3});
  writer.write("x", 1, at::arange(5, 6));
  writer.create("none", torch::kFloat32, {kGrowingRows, 2});
  writer.create("zero", torch::kFloat32, {0, 2});
  writer.create_strings("id", {3});
  writer.write_strings("id", 2, std::vector<std::string>{"c"});
  writer.commit();
  const Hdf5Reader reader(folder.path() / "a.h5");
  EXPECT_TRUE(same(reader.read("x", 0, 3), at::tensor({0, 5, 0}, torch::kLong)));
  EXPECT_TRUE(same(reader.read("none", 0, 0), at::zeros({0, 2})));
  EXPECT_EQ(reader.shape("zero"), (std::vector<int64_t>{0, 2}));
  EXPECT_THAT(reader.read_strings("id", 0, 3), ElementsAre("", "", "c"));
}

TEST(Hdf5Writer, TakesSmallerSpaceThanTheValues) {
  const TempFolder folder;
  Hdf5Writer writer(folder.path() / "a.h5");
  const torch::Tensor values = at::randn({2048, 256});
  writer.create("x", torch::kFloat32, {2048, 256});
  writer.write("x", 0, values);
  writer.commit();
  EXPECT_LT(std::filesystem::file_size(folder.path() / "a.h5"), values.nbytes() * 9 / 10);
}

TEST(Hdf5Strings, RoundTripInTableForm) {
  const TempFolder folder;
  const std::vector<std::string> values{"", "a", "größe", "東京", std::string(100'000, 'x'), "\n\t"};
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.create_strings("doc_id", {3, 2});
  writer.write_strings("doc_id", 1, std::span(values).subspan(2));
  writer.write_strings("doc_id", 0, std::span(values).first(2));
  writer.commit();
  const Hdf5Reader reader(folder.path() / "a.h5");
  EXPECT_EQ(reader.dtype("doc_id"), std::nullopt);
  EXPECT_EQ(reader.read_strings("doc_id", 0, 3), values);
  EXPECT_THAT(reader.read_strings("doc_id", 1, 1), ElementsAre("größe", "東京"));
}

TEST(Hdf5Strings, RefusesWhatTheFormatCannotHold) {
  const TempFolder folder;
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.create_strings("id", {2});
  EXPECT_THAT(message_of<DataError>([&] {
                writer.write_strings("id", 0, std::vector<std::string>{"a", "b\xff"});
              }),
              AllOf(HasSubstr("a.h5"), HasSubstr("UTF-8"), HasSubstr("row 1")));
  EXPECT_THAT(
      message_of<DataError>([&] { writer.write_strings("id", 0, std::vector<std::string>{std::string("b\0c", 3)}); }),
      HasSubstr("without NUL"));
}

TEST(Hdf5Writer, RefusesADtypeItDoesNotWrite) {
  const TempFolder folder;
  Hdf5Writer writer(folder.path() / "a.h5");
  EXPECT_THAT(message_of<ShapeError>([&] { writer.create("x", torch::kBFloat16, {1}); }), HasSubstr("got bfloat16"));
}

TEST(Hdf5Attributes, RoundTrip) {
  const TempFolder folder;
  Hdf5Writer writer(folder.path() / "a.h5");
  writer.set_format({"run", 3, "c0ffee"});
  writer.set_attribute("text", "größe");
  writer.set_attribute("empty", "");
  writer.set_attribute("number", int64_t{-5});
  writer.set_attribute("share", 0.1);
  writer.commit();
  const Hdf5Reader reader(folder.path() / "a.h5");
  EXPECT_EQ(reader.string_attribute("text"), "größe");
  EXPECT_EQ(reader.string_attribute("empty"), "");
  EXPECT_EQ(reader.int_attribute("number"), -5);
  EXPECT_EQ(reader.double_attribute("share"), 0.1);
  EXPECT_THAT(reader.string_attribute("created_by"), testing::StartsWith("trireme "));
  EXPECT_EQ(reader.require_format("run", 3).config_sha256, "c0ffee");
  EXPECT_THAT(message_of<DataError>([&] { reader.require_format("run", 2); }),
              AllOf(HasSubstr("from 1 to 2; got 3"), HasSubstr("newer Trireme")));
  EXPECT_THAT(message_of<DataError>([&] { reader.require_format("embeddings", 3); }),
              AllOf(HasSubstr("trireme_format \"embeddings\""), HasSubstr("got \"run\"")));
  EXPECT_THAT(message_of<DataError>([&] { reader.int_attribute("text"); }), HasSubstr("must be an integer"));
  EXPECT_THAT(message_of<DataError>([&] { reader.double_attribute("number"); }), HasSubstr("a floating-point number"));
  EXPECT_THAT(message_of<DataError>([&] { reader.string_attribute("number"); }), HasSubstr("variable-length string"));
  EXPECT_THAT(message_of<DataError>([&] { reader.int_attribute("none"); }), HasSubstr("root attribute none; got none"));
}

TEST(Hdf5Reader, RefusesWhatIsNotHdf5) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader(folder.path() / "none.h5"); }),
              AllOf(HasSubstr("none.h5"), HasSubstr("No such file")));
  EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader{folder.path()}; }), HasSubstr("got a folder"));
  for (const char* content : {"", "short", "a text that is longer than the signature"})
    EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader{folder.write("text.h5", content)}; }),
                AllOf(HasSubstr("text.h5"), HasSubstr("must be an HDF5 file")));
}

class DamagedHdf5 : public ::testing::Test {
 protected:
  DamagedHdf5() {
    Hdf5Writer writer(path_);
    writer.create("x", torch::kFloat32, {2048, 64});
    writer.write("x", 0, at::randn({2048, 64}));
    writer.create_strings("id", {1});
    writer.commit();
    bytes_ = read_text_file(path_);
  }
  std::string refusal(const std::string& bytes) {
    folder_.write("a.h5", bytes);
    return message_of<DataError>([&] { Hdf5Reader(path_).read("x", 0, 2048); });
  }
  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "a.h5";
  std::string bytes_;
};

TEST_F(DamagedHdf5, IsRefusedWhereverItWasCutOff) {
  for (std::size_t size = 8; size < bytes_.size(); size += 1 + size / 7)
    EXPECT_THAT(refusal(bytes_.substr(0, size)), AllOf(HasSubstr("a.h5"), HasSubstr("damaged"))) << size;
  EXPECT_THAT(refusal(bytes_.substr(0, bytes_.size() - 1)), HasSubstr("truncated"));
}

TEST_F(DamagedHdf5, IsRefusedByTheChecksumOfItsRows) {
  std::string bytes = bytes_;
  bytes[bytes.size() / 2] ^= 1;
  EXPECT_THAT(refusal(bytes), AllOf(HasSubstr("rows 0 to 2047 of dataset /x"), HasSubstr("damaged")));
}

TEST_F(DamagedHdf5, IsRefusedForADatasetOfTheWrongKind) {
  const Hdf5Reader reader(path_);
  EXPECT_THAT(message_of<DataError>([&] { reader.read("y", 0, 1); }), HasSubstr("must hold dataset /y; got none"));
  EXPECT_THAT(message_of<DataError>([&] { reader.read("id", 0, 1); }), HasSubstr("must hold numbers; got strings"));
  EXPECT_THAT(message_of<DataError>([&] { reader.read_strings("x", 0, 1); }),
              HasSubstr("must hold strings; got numbers"));
}

TEST_F(DamagedHdf5, IsToldFromAFileThatAnotherProgramHolds) {
  const int descriptor = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(descriptor, LOCK_EX), 0);
  EXPECT_THAT(message_of<DataError>([&] { Hdf5Reader{path_}; }),
              AllOf(HasSubstr("another program is writing it"), HasSubstr("HDF5_USE_FILE_LOCKING")));
  ::close(descriptor);
}

/// Lets a full disk strike at every stage: while rows are written, while ids are, and at commit.
TEST(Hdf5Writer, OnAFullDiskLeavesTheOldFileAndNoOther) {
  for (const int64_t room_bytes : {0, 100, 2'000, 10'000, 100'000, 300'000, 500'000, 560'000}) {
    const TempFolder folder;
    const auto path = folder.write("a.h5", "old");
    const std::string message = message_of<DataError>([&] {
      const test::DiskFull full(room_bytes);
      Hdf5Writer writer(path);
      writer.create("x", torch::kFloat32, {2048, 64});
      writer.create_strings("id", {2048});
      writer.write("x", 0, at::randn({2048, 64}));
      writer.write_strings("id", 0, std::vector<std::string>(2048, std::string(100, 'i')));
      writer.commit();
    });
    EXPECT_THAT(message,
                AllOf(HasSubstr(path.native()), HasSubstr("File too large"), HasSubstr("older file is intact")))
        << room_bytes;
    EXPECT_EQ(read_text_file(path), "old") << room_bytes;
    EXPECT_EQ(files_in(folder.path()), 1u) << room_bytes;
  }
}

TEST(Hdf5Writer, PrintsNothingWhenTheLibraryFails) {
  const TempFolder folder;
  testing::internal::CaptureStderr();
  EXPECT_THROW(Hdf5Reader(folder.write("a.h5", "\x89HDF\r\n\x1a\n and no more")), DataError);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5Writer, WritesSeveralFilesFromSeveralThreads) {
  const TempFolder folder;
  std::vector<std::jthread> threads;
  for (int64_t t = 0; t < 4; ++t)
    threads.emplace_back([&folder, t] {
      Hdf5Writer writer(folder.path() / std::to_string(t));
      writer.create("x", torch::kInt64, {kGrowingRows});
      writer.create_strings("id", {kGrowingRows});
      for (int64_t i = 0; i < 200; ++i) {
        writer.write("x", i, at::arange(i + t, i + t + 1));
        writer.write_strings("id", i, std::vector<std::string>{std::to_string(i + t)});
      }
      writer.commit();
    });
  threads.clear();
  for (int64_t t = 0; t < 4; ++t) {
    const Hdf5Reader reader(folder.path() / std::to_string(t));
    EXPECT_TRUE(same(reader.read("x", 0, 200), at::arange(t, 200 + t)));
    EXPECT_EQ(reader.read_strings("id", 199, 1)[0], std::to_string(199 + t));
  }
}

}  // namespace
}  // namespace trireme
