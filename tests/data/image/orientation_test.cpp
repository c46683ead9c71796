#include "data/image/orientation.h"

#include <string>

#include <gtest/gtest.h>

namespace trireme {
namespace {

/// One row of `width` pixels after another; each letter is a pixel whose three samples are that letter.
RgbImage image(int64_t height, int64_t width, std::string_view letters) {
  RgbImage image{height, width, {}};
  for (const char letter : letters) image.pixels.insert(image.pixels.end(), 3, static_cast<uint8_t>(letter));
  return image;
}

std::string letters_of(const RgbImage& image) {
  std::string letters;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) letters += static_cast<char>(image.pixels[i]);
  return letters;
}

// Stored:  abc
//          def
TEST(ApplyOrientation, TurnsAsExifDefines) {
  const std::string upright[] = {"abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const RgbImage turned = apply_orientation(image(2, 3, "abcdef"), orientation);
    EXPECT_EQ(letters_of(turned), upright[orientation - 1]) << orientation;
    EXPECT_EQ(turned.height, orientation >= 5 ? 3 : 2) << orientation;
    EXPECT_EQ(turned.width, orientation >= 5 ? 2 : 3) << orientation;
  }
}

TEST(ApplyOrientation, OfAnInverseTurnGivesTheStoredImageBack) {
  RgbImage stored{45, 70, std::vector<uint8_t>(45 * 70 * 3)};
  for (std::size_t i = 0; i < stored.pixels.size(); ++i) stored.pixels[i] = static_cast<uint8_t>(i * 7 + i / 256);
  const int inverse[] = {1, 2, 3, 4, 5, 8, 7, 6};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const RgbImage image = apply_orientation(apply_orientation(stored, orientation), inverse[orientation - 1]);
    EXPECT_EQ(image.pixels, stored.pixels) << orientation;
    EXPECT_EQ(image.width, stored.width) << orientation;
  }
}

/// A TIFF directory of one entry: tag, type, count and the four bytes of its value.
std::string tiff(std::string_view order, std::string_view entry) {
  const bool big = order == "MM";
  const std::string start = big ? std::string("\0*\0\0\0\10\0\1", 8) : std::string("*\0\10\0\0\0\1\0", 8);
  return std::string(order) + start + std::string(entry);
}

int orientation_of(std::string_view exif, std::string_view xmp = {}) {
  return find_orientation(std::as_bytes(std::span(exif)), xmp);
}

const std::string kLittleSix = tiff("II", std::string_view("\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 12));

TEST(FindOrientation, ReadsBothByteOrdersAndBothIntegerSizes) {
  EXPECT_EQ(orientation_of(kLittleSix), 6);
  EXPECT_EQ(orientation_of(std::string("Exif\0\0", 6) + kLittleSix), 6);
  EXPECT_EQ(orientation_of(tiff("MM", std::string_view("\x01\x12\0\x03\0\0\0\x01\0\x08\0\0", 12))), 8);
  EXPECT_EQ(orientation_of(tiff("MM", std::string_view("\x01\x12\0\x04\0\0\0\x01\0\0\0\x03", 12))), 3);
}

TEST(FindOrientation, TakesWhatItCannotReadForUpright) {
  EXPECT_EQ(orientation_of(""), 1);
  EXPECT_EQ(orientation_of("II*"), 1);
  EXPECT_EQ(orientation_of("not a TIFF structure at all"), 1);
  EXPECT_EQ(orientation_of(tiff("II", std::string_view("\x12\x01\x03\0\x01\0\0\0\x09\0\0\0", 12))), 1) << "9 of 8";
  EXPECT_EQ(orientation_of(tiff("II", std::string_view("\x12\x01\x02\0\x02\0\0\0\x36\0\0\0", 12))), 1) << "text";
  EXPECT_EQ(orientation_of(tiff("II", std::string_view("\x12\x01\x04\0\x02\0\0\0\xff\xff\xff\xff", 12))), 1)
      << "values beyond the end";
  for (std::size_t size = 0; size < kLittleSix.size(); ++size) EXPECT_EQ(orientation_of(kLittleSix.substr(0, size)), 1);
}

TEST(FindOrientation, AsksXmpOnlyWhereExifDoesNotSay) {
  EXPECT_EQ(orientation_of("", "<rdf:Description tiff:Orientation=\"8\">"), 8);
  EXPECT_EQ(orientation_of("", "<tiff:Orientation>5</tiff:Orientation>"), 5);
  EXPECT_EQ(orientation_of("", "tiff:Orientation tiff:Orientation=\"x\" tiff:Orientation=\"4\""), 4);
  EXPECT_EQ(orientation_of(kLittleSix, "<tiff:Orientation>5</tiff:Orientation>"), 6);
  EXPECT_EQ(orientation_of("", "tiff:Orientation="), 1);
}

}  // namespace
}  // namespace trireme
