#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/hash.h"
#include "data/image/image.h"
#include "data/image/preprocess.h"
#include "tests/data/image/golden_table.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::golden_bytes;
using test::golden_table;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

RgbImage decode(std::string_view bytes, AlphaMode alpha = AlphaMode::kWhite) {
  return decode_image(std::as_bytes(std::span(bytes)), "record q1, a.jpg", alpha);
}

template <class T>
std::string hash_of(const std::vector<T>& values) {
  return sha256_hex(std::as_bytes(std::span(values)));
}

TEST(DecodeImage, GivesPillowsPixelsForEveryKindOfFile) {
  const auto table = golden_table("decoded.tsv");
  ASSERT_GE(table.size(), 50u);
  for (const auto& row : table) {
    const std::string bytes = golden_bytes("files/" + row[0]);
    const RgbImage on_white = decode(bytes);
    EXPECT_EQ(std::to_string(on_white.height) + "x" + std::to_string(on_white.width), row[1] + "x" + row[2]) << row[0];
    EXPECT_EQ(hash_of(on_white.pixels), row[3]) << row[0];
    EXPECT_EQ(hash_of(decode(bytes, AlphaMode::kDrop).pixels), row[4]) << row[0] << ", alpha dropped";
  }
}

TEST(DecodeImage, ThenResizeAndPatchesAreThoseOfPillowAndTheSlowProcessor) {
  ImageProcessorConfig config;
  config.min_pixels = 4 * 28 * 28;
  config.max_pixels = 12 * 28 * 28;
  for (const auto& row : golden_table("decoded.tsv")) {
    const RgbImage image = decode(golden_bytes("files/" + row[0]));
    EXPECT_EQ(hash_of(resize_bicubic(image, std::stol(row[5]), std::stol(row[6])).pixels), row[7]) << row[0];
    const ImagePatches patches = preprocess_image(image, config, row[0]);
    EXPECT_EQ(patches.grid_h, std::stol(row[8])) << row[0];
    EXPECT_EQ(patches.grid_w, std::stol(row[9])) << row[0];
    EXPECT_EQ(hash_of(patches.values), row[10]) << row[0];
  }
}

/// Grey 0..3 of a 2-bit PNG and so on are covered by the goldens; this is the one rule in which Pillow is not followed.
TEST(DecodeImage, TakesSixteenBitGreyByItsHighByte) {
  const RgbImage image = decode(golden_bytes("files/grey_16_bit.png"));
  EXPECT_GT(std::count_if(image.pixels.begin(), image.pixels.end(), [](uint8_t v) { return v > 0 && v < 255; }),
            static_cast<std::ptrdiff_t>(image.pixels.size() / 3))
      << "clipping at 255, as Pillow does, would leave black and white";
}

TEST(DecodeImage, IgnoresTextThatUnpacksToMuch) {
  const RgbImage image = decode(golden_bytes("hostile/text_bomb.png"));
  EXPECT_EQ(image.height, 4);
}

struct Refusal {
  std::string what, bytes, says;
};

TEST(DecodeImage, RefusesByNameWhatIsNoUsableImage) {
  const std::string jpeg = golden_bytes("files/4_2_0.jpg"), png = golden_bytes("files/RGBA_8_bit.png"),
                    webp = golden_bytes("files/lossy.webp");
  std::string damaged_png = png, damaged_jpeg = jpeg;
  damaged_png[png.size() - 14] ^= 1;  // the image's checksum, before the 12 bytes of the last chunk
  damaged_jpeg.replace(jpeg.size() - 100, 2, "\xff\xd9");  // an end marker within the image
  const Refusal refusals[] = {
      {"no bytes", "", "got 0 bytes"},
      {"a page", golden_bytes("hostile/page.html"), "JPEG, PNG or WebP; got 33 bytes that begin with 3c 21 64 6f"},
      {"a GIF", golden_bytes("hostile/picture.gif"), "JPEG, PNG or WebP"},
      {"half a JPEG", jpeg.substr(0, jpeg.size() / 2), "a JPEG must be complete"},
      {"half a PNG", png.substr(0, png.size() / 2), "a PNG must be complete"},
      {"half a WebP", webp.substr(0, webp.size() / 2), "a WebP must be complete"},
      {"a PNG without its last chunk", png.substr(0, png.size() - 12), "a PNG must be complete"},
      {"a signature alone", png.substr(0, 8), "a PNG must be complete"},
      {"damaged PNG", damaged_png, "IDAT: CRC error"},
      {"damaged JPEG", damaged_jpeg, "premature end of data segment"},
      {"a JPEG without a picture", golden_bytes("hostile/no_picture.jpg"), "a JPEG must be undamaged"},
      {"PNG bomb", golden_bytes("hostile/bomb.png"), "at most 178956970 pixels; got 20000x20000"},
      {"JPEG bomb", golden_bytes("hostile/bomb.jpg"), "at most 178956970 pixels; got 20000x20000"},
      {"WebP bomb", golden_bytes("hostile/bomb.webp"), "at most 178956970 pixels; got 16000x16000"},
  };
  for (const Refusal& refusal : refusals) {
    const std::string message = message_of<DataError>([&] { decode(refusal.bytes); });
    EXPECT_THAT(message, AllOf(StartsWith("[record q1, a.jpg] "), HasSubstr(refusal.says), Not(HasSubstr("\n"))))
        << refusal.what;
  }
}

TEST(DecodeImage, RefusesEveryBeginningOfAFile) {
  for (const auto& row : golden_table("decoded.tsv")) {
    const std::string bytes = golden_bytes("files/" + row[0]);
    for (std::size_t size = bytes.size() - 1; size > 0; size -= std::min<std::size_t>(size, 1 + size / 11)) {
      EXPECT_THROW(decode(bytes.substr(0, size)), DataError) << row[0] << " cut to " << size << " of " << bytes.size();
    }
  }
}

TEST(DecodeImage, ReadsAFileWithBytesBehindItsEnd) {
  for (const char* name : {"4_4_4.jpg", "RGB_8_bit.png", "lossless.webp"}) {
    const std::string bytes = golden_bytes(std::string("files/") + name);
    EXPECT_EQ(decode(bytes + std::string(100, 'x')).pixels, decode(bytes).pixels) << name;
  }
}

}  // namespace
}  // namespace trireme
