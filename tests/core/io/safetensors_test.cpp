#include "core/io/safetensors.h"

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
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
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

const std::filesystem::path kGolden = std::filesystem::path(TRIREME_TEST_DIR) / "golden";

std::string length_bytes(uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

std::string file_bytes(std::string_view header, std::string_view data = {}) {
  return length_bytes(header.size()) + std::string(header) + std::string(data);
}

std::string refusal(const std::string& bytes) {
  const TempFolder folder;
  const auto path = folder.write("model.safetensors", bytes);
  const std::string message = message_of<DataError>([&] { SafetensorsFile{path}; });
  EXPECT_THAT(message, HasSubstr(path.native()));
  return message;
}

std::string header_refusal(std::string_view header, std::string_view data = {}) {
  return refusal(file_bytes(header, data));
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && at::equal(a, b);
}

NamedTensors contents(const SafetensorsFile& file) {
  NamedTensors tensors;
  for (const SafetensorsEntry& entry : file.entries()) tensors.emplace_back(entry.name, file.tensor(entry));
  return tensors;
}

// golden: tests/golden/core_io/make.py

TEST(SafetensorsFile, ReadsTheReferenceWritersFile) {
  const SafetensorsFile file(kGolden / "core_io/reference.safetensors");
  EXPECT_EQ(file.entries().size(), 13u);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  const std::vector<std::pair<std::string, c10::ScalarType>> dtypes{
      {"of.f64", torch::kDouble},    {"of.f32", torch::kFloat}, {"of.f16", torch::kHalf},
      {"of.bf16", torch::kBFloat16}, {"of.i64", torch::kLong},  {"of.i32", torch::kInt},
      {"of.i16", torch::kShort},     {"of.i8", torch::kChar},   {"of.u8", torch::kByte}};
  for (const auto& [name, dtype] : dtypes) {
    ASSERT_NE(file.find(name), nullptr) << name;
    EXPECT_TRUE(same(file.tensor(*file.find(name)), at::arange(6).reshape({2, 3}).to(dtype))) << name;
  }
  EXPECT_TRUE(same(file.tensor(*file.find("of.bool")), at::arange(6).remainder(2).reshape({2, 3}).to(torch::kBool)));
  EXPECT_TRUE(same(file.tensor(*file.find("scalar")), at::zeros({})));
  EXPECT_TRUE(same(file.tensor(*file.find("empty")), at::zeros({0, 4})));
  EXPECT_TRUE(same(file.tensor(*file.find("größe \"x\"")), at::arange(3, torch::kByte)));
  EXPECT_EQ(file.find("of.f8"), nullptr);
}

TEST(WriteSafetensors, GivesTheReferenceWritersBytes) {
  const TempFolder folder;
  const SafetensorsFile reference(kGolden / "core_io/reference.safetensors");
  write_safetensors(folder.path() / "out", contents(reference));
  EXPECT_EQ(read_text_file(folder.path() / "out"), read_text_file(reference.path()));
}

TEST(SafetensorsFolder, ReadsShardsThatTransformersWrote) {
  const SafetensorsFolder folder(kGolden / "checkpoints/qwen2_5_vl_hub");
  EXPECT_EQ(folder.paths().size(), 2u);
  EXPECT_TRUE(std::is_sorted(folder.names().begin(), folder.names().end()));
  ASSERT_NE(folder.find("lm_head.weight"), nullptr);
  EXPECT_EQ(folder.tensor("lm_head.weight").sizes().vec(), folder.find("lm_head.weight")->shape);
}

// equivalence

rc::Gen<std::vector<torch::Tensor>> arbitrary_tensors() {
  const auto dtype = rc::gen::element(torch::kDouble, torch::kFloat, torch::kHalf, torch::kBFloat16, torch::kLong,
                                      torch::kInt, torch::kShort, torch::kChar, torch::kByte, torch::kBool);
  const auto shape = rc::gen::resize(4, rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(0, 5)));
  return rc::gen::container<std::vector<torch::Tensor>>(rc::gen::map(
      rc::gen::pair(dtype, shape), [](const auto& kind) { return at::randint(0, 2, kind.second).to(kind.first); }));
}

TEST(Safetensors, RoundTripKeepsEveryTensorAndTheMetadata) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  EXPECT_TRUE(rc::check([&] {
    NamedTensors tensors;
    for (const torch::Tensor& tensor : *arbitrary_tensors())
      tensors.emplace_back(fmt::format("{}.{}", *rc::gen::element<std::string>("w", "\n\"", "東"), tensors.size()),
                           tensor);
    const auto metadata = *rc::gen::element<std::map<std::string, std::string>>(
        std::map<std::string, std::string>{{"format", "pt"}},
        std::map<std::string, std::string>{{"format", "mlx"}, {"a\"", "\\b\t"}});
    write_safetensors(path, tensors, metadata);
    const SafetensorsFile file(path);
    RC_ASSERT(file.metadata() == metadata);
    RC_ASSERT(file.entries().size() == tensors.size());
    for (const auto& [name, tensor] : tensors) {
      RC_ASSERT(file.find(name) != nullptr);
      RC_ASSERT(same(file.tensor(*file.find(name)), tensor));
    }
  }));
}

TEST(WriteSafetensors, IsDeterministicAndAlignsItsData) {
  const TempFolder folder;
  const NamedTensors tensors{{"b", at::arange(5)}, {"a", at::arange(6).reshape({2, 3}).t()}};
  write_safetensors(folder.path() / "1", tensors, {{"z", "1"}, {"a", "2"}});
  write_safetensors(folder.path() / "2", tensors, {{"a", "2"}, {"z", "1"}});
  const std::string bytes = read_text_file(folder.path() / "1");
  EXPECT_EQ(bytes, read_text_file(folder.path() / "2"));
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_TRUE(
      same(SafetensorsFile(folder.path() / "1").tensor({"a", torch::kLong, {3, 2}, 40, 88}), tensors[1].second));
}

TEST(SafetensorsFile, TensorIsAViewThatOutlivesTheFileAndNeverChangesIt) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  write_safetensors(path, {{"w", at::arange(4)}});
  const std::string before = read_text_file(path);
  torch::Tensor first, second;
  {
    const SafetensorsFile file(path);
    first = file.tensor(*file.find("w"));
    second = file.tensor(*file.find("w"));
  }
  first.mul_(10);
  EXPECT_TRUE(same(second, at::arange(4) * 10)) << "both are views of one mapping";
  EXPECT_EQ(read_text_file(path), before);
}

TEST(SafetensorsFile, ReadsTensorsThatAreNotAligned) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  const NamedTensors tensors{{"byte", at::arange(1, torch::kByte)}, {"w", at::arange(4, torch::kDouble)}};
  write_safetensors(path, tensors);
  const SafetensorsFile file(path);
  const torch::Tensor w = file.tensor(*file.find("w"));
  EXPECT_TRUE(same(w, tensors[1].second));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(w.data_ptr()) % 8, 0u);
}

TEST(SafetensorsFile, ToleratesWhatTheReferenceReaderTolerates) {
  const TempFolder folder;
  EXPECT_TRUE(SafetensorsFile(folder.write("empty", file_bytes("{}"))).entries().empty());
  EXPECT_TRUE(SafetensorsFile(folder.write("spaces", file_bytes("{}      "))).entries().empty());
  const SafetensorsFile file(
      folder.write("any_order", file_bytes(R"({"b":{"data_offsets":[1,2],"shape":[1],"dtype":"U8"},)"
                                           R"("a":{"shape":[],"data_offsets":[0,1],"dtype":"U8"}})",
                                           "\x05\x06")));
  EXPECT_EQ(file.entries()[0].name, "a");
  EXPECT_TRUE(same(file.tensor(*file.find("b")), at::tensor({6}, torch::kByte)));
}

// refusal

TEST(SafetensorsFile, RefusesAFileThatIsNotOne) {
  EXPECT_THAT(refusal(""), HasSubstr("got a file of 0 bytes"));
  EXPECT_THAT(refusal("1234567"), HasSubstr("got a file of 7 bytes"));
  EXPECT_THAT(refusal("<html><body>404</body></html>"),
              AllOf(HasSubstr("at most 100000000 bytes"), HasSubstr("check that it is a safetensors file")));
  EXPECT_THAT(message_of<DataError>([] { SafetensorsFile("/nowhere/model.safetensors"); }),
              HasSubstr("/nowhere/model.safetensors"));
}

TEST(SafetensorsFile, RefusesAHeaderLengthBeyondTheFile) {
  EXPECT_THAT(refusal(length_bytes(100) + "{}"),
              AllOf(HasSubstr("must hold the 100 bytes of its header"), HasSubstr("got 2"), HasSubstr("download")));
  EXPECT_THAT(refusal(length_bytes(~0ull) + "{}"), HasSubstr("at most 100000000 bytes"));
  EXPECT_THAT(refusal(length_bytes(0)), HasSubstr("starts with '{'"));
}

TEST(SafetensorsFile, RefusesAHeaderThatIsNotJson) {
  EXPECT_THAT(header_refusal("{\"a\":"), AllOf(HasSubstr("must hold valid JSON"), HasSubstr("at byte")));
  EXPECT_THAT(header_refusal("{} x"), HasSubstr("must hold valid JSON"));
  EXPECT_THAT(header_refusal(std::string("{}\0 x", 5)), HasSubstr("got a NUL at byte 2"));
  EXPECT_THAT(header_refusal("{\"\xff\":{}}"), HasSubstr("must hold valid JSON"));
  EXPECT_THAT(header_refusal("[]"), HasSubstr("starts with '{'"));
}

TEST(SafetensorsFile, RefusesJsonOfAnotherForm) {
  EXPECT_THAT(header_refusal(R"({"w":3})"), AllOf(HasSubstr("\"w\" must be an object"), HasSubstr("got 3")));
  EXPECT_THAT(header_refusal(R"({"w":[1]})"), HasSubstr("\"w\" must be an object"));
  EXPECT_THAT(header_refusal(R"({"w":{}})"), HasSubstr("got no dtype, no shape, no data_offsets"));
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0]}})"),
              HasSubstr("incomplete data_offsets"));
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})"), HasSubstr("two integers"));
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"extra":"x"}})"),
              AllOf(HasSubstr("\"w\""), HasSubstr("and no more")));
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})"), HasSubstr("a dtype (text)"));
  EXPECT_THAT(header_refusal(R"({"__metadata__":{"step":3}})"), HasSubstr("__metadata__ must map text to text"));
  EXPECT_THAT(header_refusal(R"({"__metadata__":"x"})"), HasSubstr("\"__metadata__\" must be an object"));
}

TEST(SafetensorsFile, RefusesDuplicates) {
  constexpr std::string_view kEmpty = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(header_refusal(fmt::format(R"({{"w":{0},"w":{0}}})", kEmpty)), HasSubstr("got \"w\" twice"));
  EXPECT_THAT(header_refusal(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("\"__metadata__\" twice"));
  EXPECT_THAT(header_refusal(R"({"__metadata__":{"a":"1","a":"1"}})"), HasSubstr("\"a\" twice"));
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"U8","dtype":"I8"}})"), HasSubstr("dtype once"));
  EXPECT_THAT(header_refusal(R"({"w":{"shape":[],"shape":[]}})"), HasSubstr("shape once"));
}

TEST(SafetensorsFile, RefusesADtypeItCannotReadByName) {
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "x"),
              AllOf(HasSubstr("\"w\""), HasSubstr("\"F8_E4M3\""), HasSubstr("BF16")));
}

TEST(SafetensorsFile, RefusesImpossibleShapes) {
  const auto with_shape = [](std::string_view shape, std::string_view offsets = "[0,0]") {
    return header_refusal(fmt::format(R"({{"w":{{"dtype":"F32","shape":{},"data_offsets":{}}}}})", shape, offsets));
  };
  EXPECT_THAT(with_shape("[-1]"), AllOf(HasSubstr("shape of tensor \"w\""), HasSubstr("got -1")));
  EXPECT_THAT(with_shape("[1.5]"), HasSubstr("integers from 0"));
  EXPECT_THAT(with_shape("[18446744073709551616]"), HasSubstr("integers from 0"));
  EXPECT_THAT(with_shape("[18446744073709551615]"), HasSubstr("at most 2^63 - 1 bytes"));
  EXPECT_THAT(with_shape("[4294967296,4294967296]"), HasSubstr("at most 2^63 - 1 bytes"));
  EXPECT_THAT(with_shape("[0,4294967296,4294967296]"), HasSubstr("at most 2^63 - 1 bytes"));
  std::string many = "[1";
  for (int i = 0; i < 64; ++i) many += ",1";
  EXPECT_THAT(with_shape(many + "]"), HasSubstr("at most 64"));
}

TEST(SafetensorsFile, RefusesOffsetsThatContradictShapeAndDtype) {
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,23]}})", std::string(23, 'x')),
              AllOf(HasSubstr("\"w\" must take 24 bytes"), HasSubstr("[2, 3]"), HasSubstr("got data_offsets [0, 23]")));
  EXPECT_THAT(header_refusal(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", "x"),
              HasSubstr("got data_offsets [1, 0]"));
}

TEST(SafetensorsFile, RefusesOverlapGapTruncationAndSurplus) {
  const auto two = [](std::string_view second_offsets, std::string_view data) {
    return header_refusal(fmt::format(R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}},)"
                                      R"("b":{{"dtype":"U8","shape":[2],"data_offsets":{}}}}})",
                                      second_offsets),
                          data);
  };
  EXPECT_THAT(two("[1,3]", "xxx"), AllOf(HasSubstr("\"b\" must begin at byte 2"), HasSubstr("got 1: they overlap")));
  EXPECT_THAT(two("[0,2]", "xx"), HasSubstr("they overlap"));
  EXPECT_THAT(two("[3,5]", "xxxxx"), AllOf(HasSubstr("\"b\""), HasSubstr("got 3: they leave a gap")));
  EXPECT_THAT(two("[2,4]", "xxx"), AllOf(HasSubstr("4 bytes of data that its header promises; got 3"),
                                         HasSubstr("truncated"), HasSubstr("download")));
  EXPECT_THAT(two("[2,4]", "xxxxx"), HasSubstr("must end with its last tensor, after 4 bytes of data; got 5"));
}

TEST(SafetensorsFile, RefusesJsonBombs) {
  // Each is read in one pass with no memory per level; nlohmann's own tree would need gigabytes or the whole stack.
  constexpr std::size_t kSize = 20'000'000;
  EXPECT_THAT(header_refusal("{\"w\":" + std::string(kSize, '[')), HasSubstr("\"w\" must be an object"));
  EXPECT_THAT(header_refusal("{\"w\":{\"shape\":" + std::string(kSize, '[')), HasSubstr("got an array"));
  std::string many_zeros = "{\"w\":{\"shape\":[0";
  for (std::size_t i = 0; i < kSize / 2; ++i) many_zeros += ",0";
  EXPECT_THAT(header_refusal(many_zeros), HasSubstr("at most 64"));
  std::string objects;
  for (std::size_t i = 0; i < kSize / 5; ++i) objects += "{\"a\":";
  EXPECT_THAT(header_refusal(objects), HasSubstr("got an object"));
}

TEST(SafetensorsFile, RefusesABoolThatIsNeitherZeroNorOne) {
  const TempFolder folder;
  const SafetensorsFile file(
      folder.write("a", file_bytes(R"({"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02")));
  EXPECT_THAT(message_of<DataError>([&] { file.tensor(*file.find("mask")); }),
              AllOf(HasSubstr("\"mask\""), HasSubstr("got 2")));
}

class ShardedFolder : public ::testing::Test {
 protected:
  ShardedFolder() {
    write_safetensors(folder_.path() / "1.safetensors", {{"a", at::arange(2)}});
    write_safetensors(folder_.path() / "2.safetensors", {{"b", at::arange(3)}});
  }
  std::string refusal(std::string_view index) {
    folder_.write("model.safetensors.index.json", index);
    return message_of<DataError>([&] { SafetensorsFolder{folder_.path()}; });
  }
  TempFolder folder_;
};

TEST_F(ShardedFolder, GivesEveryTensorOfTheShards) {
  folder_.write("model.safetensors.index.json", R"({"metadata":{"total_size":40,"any":[{"x":null}]},)"
                                                R"("weight_map":{"b":"2.safetensors","a":"1.safetensors"}})");
  const SafetensorsFolder folder(folder_.path());
  EXPECT_THAT(folder.names(), ElementsAre("a", "b"));
  EXPECT_THAT(folder.paths(), ElementsAre(folder_.path() / "1.safetensors", folder_.path() / "2.safetensors"));
  EXPECT_TRUE(same(folder.tensor("b"), at::arange(3)));
  EXPECT_EQ(folder.find("c"), nullptr);
  EXPECT_THAT(message_of<DataError>([&] { folder.tensor("c"); }), HasSubstr("must hold tensor \"c\""));
}

TEST_F(ShardedFolder, RefusesAMissingShard) {
  EXPECT_THAT(refusal(R"({"weight_map":{"a":"1.safetensors","c":"3.safetensors"}})"),
              AllOf(HasSubstr("\"3.safetensors\""), HasSubstr("download it")));
}

TEST_F(ShardedFolder, RefusesATensorThatItsShardLacks) {
  EXPECT_THAT(refusal(R"({"weight_map":{"a":"1.safetensors","c":"2.safetensors"}})"),
              AllOf(HasSubstr("\"c\" must be in \"2.safetensors\""), HasSubstr("in no shard")));
  EXPECT_THAT(refusal(R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors"}})"), HasSubstr("in another shard"));
}

TEST_F(ShardedFolder, RefusesATensorInTwoShards) {
  write_safetensors(folder_.path() / "2.safetensors", {{"a", at::arange(3)}});
  EXPECT_THAT(refusal(R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})"),
              AllOf(HasSubstr("\"a\" must be in one shard"), HasSubstr("1.safetensors"), HasSubstr("2.safetensors")));
}

TEST_F(ShardedFolder, RefusesShardsOutsideTheFolder) {
  for (const char* name : {"../1.safetensors", "/etc/passwd", "sub/1.safetensors", "..", "", "a\\\\b", "a\\u0000b"})
    EXPECT_THAT(refusal(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name)),
                AllOf(HasSubstr("shard of tensor \"a\""), HasSubstr("plain name")))
        << name;
}

TEST_F(ShardedFolder, RefusesAnIndexOfAnotherForm) {
  EXPECT_THAT(refusal(""), HasSubstr("valid JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("weight_map"));
  EXPECT_THAT(refusal("{}"), AllOf(HasSubstr("weight_map"), HasSubstr("got none")));
  EXPECT_THAT(refusal(R"({"weight_map":{"a":1}})"), HasSubstr("got a number"));
  EXPECT_THAT(refusal(R"({"weight_map":{"a":{}}})"), HasSubstr("got an object"));
  EXPECT_THAT(refusal(R"({"weight_map":["a"]})"), HasSubstr("got an array"));
  EXPECT_THAT(refusal(R"({"weight_map":{"a":"1.safetensors","a":"1.safetensors"}})"), HasSubstr("\"a\" twice"));
  EXPECT_THAT(refusal("{\"metadata\":" + std::string(10'000'000, '[')), HasSubstr("nest at most 64 deep"));
}

TEST(SafetensorsFolder, RefusesAFolderWithoutWeights) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { SafetensorsFolder{folder.path()}; }),
              AllOf(HasSubstr(folder.path().native()), HasSubstr("got neither")));
  EXPECT_THAT(message_of<DataError>([&] { SafetensorsFolder{folder.path() / "none"}; }), HasSubstr("no such folder"));
  EXPECT_THAT(message_of<DataError>([&] { SafetensorsFolder{folder.write("file", "")}; }), HasSubstr("got a file"));
}

TEST(WriteSafetensors, OnAFullDiskLeavesTheOldFile) {
  const TempFolder folder;
  const auto path = folder.write("out", "old");
  {
    const test::DiskFull full(4096);
    EXPECT_THAT(message_of<DataError>([&] {
                  write_safetensors(path, {{"w", at::zeros({10'000})}});
                }),
                HasSubstr(path.native()));
  }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteSafetensors, RefusesADtypeTheFormatLacks) {
  EXPECT_THAT(message_of<ShapeError>([] {
                write_safetensors("/nowhere/a", {{"c", at::zeros({2}, torch::kComplexFloat)}});
              }),
              HasSubstr("\"c\""));
}

}  // namespace
}  // namespace trireme
