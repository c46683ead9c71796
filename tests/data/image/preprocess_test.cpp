#include "data/image/preprocess.h"

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/data/image/golden_table.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

TEST(SmartResize, IsTransformersAndLamrasForEverySize) {
  const auto table = test::golden_table("smart_resize.tsv");
  ASSERT_GE(table.size(), 1000u);
  int refused = 0;
  for (const auto& row : table) {
    ImageProcessorConfig config;
    config.smart_resize_rule = row[0] == "lamra" ? SmartResizeRule::kLamra : SmartResizeRule::kTransformers;
    config.min_pixels = std::stol(row[1]);
    config.max_pixels = std::stol(row[2]);
    config.patch_size = std::stol(row[3]);
    config.merge_size = std::stol(row[4]);
    const ImageSize size{std::stol(row[5]), std::stol(row[6])}, expected{std::stol(row[7]), std::stol(row[8])};
    if (expected.height == 0 || expected.width == 0) {
      ++refused;
      EXPECT_THROW(smart_resize(size, config, "test"), DataError) << row[0] << " " << row[5] << "x" << row[6];
      continue;
    }
    const ImageSize result = smart_resize(size, config, "test");
    EXPECT_EQ(result.height, expected.height) << row[0] << " " << row[5] << "x" << row[6];
    EXPECT_EQ(result.width, expected.width) << row[0] << " " << row[5] << "x" << row[6];
  }
  EXPECT_GT(refused, 20);
}

TEST(SmartResize, RefusesALineByItsSides) {
  const std::string message = message_of<DataError>([] { smart_resize({1, 20000}, {}, "record q7, line.png"); });
  EXPECT_THAT(message, AllOf(HasSubstr("[record q7, line.png]"), HasSubstr("20000x1 (width x height)"),
                             HasSubstr("at most 200 times"), HasSubstr("crop it, or drop the record")));
  EXPECT_THROW(smart_resize({0, 5}, {}, "test"), DataError);
}

RgbImage random_image(int64_t height, int64_t width) {
  std::mt19937 random(13);
  RgbImage image{height, width, std::vector<uint8_t>(static_cast<std::size_t>(height * width * 3))};
  for (uint8_t& sample : image.pixels) sample = static_cast<uint8_t>(random());
  return image;
}

/// The layout, said the other way round: from the place in the result to the pixel it shows.
TEST(PreprocessImage, PutsEachPixelWhereTheModelLooksForIt) {
  ImageProcessorConfig config;
  config.patch_size = 4;
  config.merge_size = 3;
  config.temporal_patch_size = 2;
  config.min_pixels = 1;
  const RgbImage image = random_image(24, 36);  // fits: no resize
  const ImagePatches patches = preprocess_image(image, config, "test");
  ASSERT_EQ(patches.grid_h, 6);
  ASSERT_EQ(patches.grid_w, 9);
  ASSERT_EQ(patches.values.size(), 6u * 9 * 3 * 2 * 4 * 4);
  std::size_t at = 0;
  for (int64_t patch = 0; patch < 54; ++patch) {
    const int64_t group = patch / 9, within = patch % 9;  // groups of 3 x 3 patches, three of them side by side
    const int64_t top = (group / 3 * 3 + within / 3) * 4, left = (group % 3 * 3 + within % 3) * 4;
    for (int64_t channel = 0; channel < 3; ++channel) {
      for (int64_t frame = 0; frame < 2; ++frame) {
        for (int64_t pixel = 0; pixel < 16; ++pixel) {
          const int64_t y = top + pixel / 4, x = left + pixel % 4;
          const float sample = image.pixels[(y * 36 + x) * 3 + channel];
          const float expected = (sample / 255.0f - config.mean[channel]) / config.std[channel];
          ASSERT_NEAR(patches.values[at++], expected, 2e-6f) << "patch " << patch << " channel " << channel;
        }
      }
    }
  }
}

TEST(PreprocessImage, NamesTheRecordWhenItRefuses) {
  const std::string message =
      message_of<DataError>([] { preprocess_image(random_image(2, 500), {}, "record 5, strip.png"); });
  EXPECT_THAT(message, HasSubstr("[record 5, strip.png]"));
}

}  // namespace
}  // namespace trireme
