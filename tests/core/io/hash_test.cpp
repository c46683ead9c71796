#include "core/io/hash.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Sha256, IsTheStandards) {  // FIPS 180-4 examples; coreutils' sha256sum gives the same
  EXPECT_EQ(sha256_hex(bytes_of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfFilesIsThatOfTheirContentsInOrder) {
  const test::TempFolder folder;
  const std::string a(1'500'000, 'a'), b = "b";
  const std::vector<std::filesystem::path> paths{folder.write("b", b), folder.write("a", a)};
  EXPECT_EQ(sha256_hex_of_files(paths), sha256_hex(bytes_of(b + a)));
}

TEST(Sha256, OfAMissingFileNamesIt) {
  const std::vector<std::filesystem::path> paths{"/nowhere/model.safetensors"};
  EXPECT_THAT(test::message_of<DataError>([&] { sha256_hex_of_files(paths); }),
              HasSubstr("/nowhere/model.safetensors"));
}

TEST(Xxh3, IsTheLibrarys) {  // XXH3_64bits of nothing, as xxhash's own test vectors have it
  EXPECT_EQ(xxh3_64({}), 0x2d06800538d394c2ull);
  EXPECT_NE(xxh3_64(bytes_of("a")), xxh3_64(bytes_of("b")));
}

}  // namespace
}  // namespace trireme
