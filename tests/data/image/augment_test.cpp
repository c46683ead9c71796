#include "data/image/augment.h"

#include <cmath>

#include <gtest/gtest.h>

namespace trireme {
namespace {

/// Red grows to the right, green downwards.
RgbImage gradient(int64_t height, int64_t width) {
  RgbImage image{height, width, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      image.pixels.push_back(static_cast<uint8_t>(x * 255 / std::max<int64_t>(width - 1, 1)));
      image.pixels.push_back(static_cast<uint8_t>(y * 255 / std::max<int64_t>(height - 1, 1)));
      image.pixels.push_back(60);
    }
  }
  return image;
}

RandomStream stream(int64_t i) { return random_stream(3, "test", i); }

double mean(const RgbImage& image) {
  double sum = 0;
  for (uint8_t v : image.pixels) sum += v;
  return sum / static_cast<double>(image.pixels.size());
}

TEST(Augment, ZerosChangeNothing) {
  const RgbImage image = gradient(17, 23);
  for (int64_t i = 0; i < 20; ++i) {
    auto draws = stream(i);
    EXPECT_EQ(augment(image, {}, draws).pixels, image.pixels);
  }
}

TEST(Augment, IsAFunctionOfTheStream) {
  const AugmentConfig config{
      .rotate_degrees = 12, .scale = 0.2, .shift = 0.1, .aspect = 0.12, .colour = 0.4, .grey = 0.15};
  const RgbImage image = gradient(32, 32);
  auto a = stream(1), b = stream(1), c = stream(2);
  const RgbImage one = augment(image, config, a);
  EXPECT_EQ(one.pixels, augment(image, config, b).pixels);
  EXPECT_NE(one.pixels, augment(image, config, c).pixels);
  EXPECT_EQ(one.height, 32);
  EXPECT_EQ(one.width, 32);
  EXPECT_EQ(a.next_uint64(), b.next_uint64());
}

TEST(Augment, DrawsAsMuchWhateverIsOn) {
  const RgbImage image = gradient(8, 8);
  auto some = stream(5), none = stream(5);
  augment(image, {.rotate_degrees = 30, .colour = 1, .grey = 0.5}, some);
  augment(image, {}, none);
  EXPECT_EQ(some.next_uint64(), none.next_uint64());
}

TEST(Augment, GreyTakesAllColour) {
  auto draws = stream(0);
  const RgbImage grey = augment(gradient(9, 9), {.grey = 1}, draws);
  for (std::size_t i = 0; i < grey.pixels.size(); i += 3) {
    EXPECT_EQ(grey.pixels[i], grey.pixels[i + 1]);
    EXPECT_EQ(grey.pixels[i], grey.pixels[i + 2]);
  }
}

TEST(Augment, ShiftMovesTheImageOverWhite) {
  // A black image: what is white afterwards is what the shift uncovered.
  const RgbImage black{100, 100, std::vector<uint8_t>(30000, 0)};
  double most = 0;
  for (int64_t i = 0; i < 40; ++i) {
    auto draws = stream(i);
    most = std::max(most, mean(augment(black, {.shift = 0.2}, draws)) / 255);
  }
  EXPECT_GT(most, 0.15);
  EXPECT_LT(most, 1 - 0.8 * 0.8 + 0.01);
}

TEST(Augment, ScaleKeepsTheCentreAndRotationTheMiddlePixel) {
  RgbImage image{31, 31, std::vector<uint8_t>(31 * 31 * 3, 255)};
  for (std::size_t c = 0; c < 3; ++c) image.pixels[(15 * 31 + 15) * 3 + c] = 0;
  for (int64_t i = 0; i < 20; ++i) {
    auto draws = stream(i);
    const RgbImage out = augment(image, {.rotate_degrees = 180, .scale = 0.3, .aspect = 0.2}, draws);
    EXPECT_EQ(out.pixels[(15 * 31 + 15) * 3], 0);
  }
}

TEST(Augment, ColourChangesBrightnessBothWays) {
  const RgbImage image{10, 10, std::vector<uint8_t>(300, 100)};
  double least = 255, most = 0;
  for (int64_t i = 0; i < 50; ++i) {
    auto draws = stream(i);
    const double value = mean(augment(image, {.colour = 0.4}, draws));
    least = std::min(least, value), most = std::max(most, value);
    EXPECT_GE(value, 59);
    EXPECT_LE(value, 141);
  }
  EXPECT_LT(least, 75);
  EXPECT_GT(most, 125);
}

TEST(Augment, OnePixelIsEnough) {
  auto draws = stream(1);
  const AugmentConfig config{.rotate_degrees = 90, .scale = 1, .shift = 0.5, .aspect = 1, .colour = 1, .grey = 0.5};
  EXPECT_EQ(augment(gradient(1, 1), config, draws).pixels.size(), 3u);
  EXPECT_EQ(augment(gradient(1, 50), config, draws).pixels.size(), 150u);
}

}  // namespace
}  // namespace trireme
