#include <cmath>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "core/io/hash.h"
#include "data/image/image.h"
#include "tests/data/image/golden_table.h"

namespace trireme {
namespace {

/// The same image as formula_picture() in tests/golden/image/make.py.
RgbImage formula_image(int64_t height, int64_t width) {
  RgbImage image{height, width, {}};
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      for (uint32_t c = 0; c < 3; ++c) {
        image.pixels.push_back(static_cast<uint8_t>((y * 73 + x * 151 + c * 199 + y * x % 251) * 2654435761u >> 24));
      }
    }
  }
  return image;
}

RgbImage random_image(int64_t height, int64_t width, std::mt19937& random) {
  RgbImage image{height, width, std::vector<uint8_t>(static_cast<std::size_t>(height * width * 3))};
  for (uint8_t& sample : image.pixels) sample = static_cast<uint8_t>(random());
  return image;
}

TEST(ResizeBicubic, GivesPillowsPixelsInBothPassOrders) {
  const auto table = test::golden_table("resized.tsv");
  ASSERT_GE(table.size(), 50u);
  for (const auto& row : table) {
    const RgbImage image = formula_image(std::stol(row[0]), std::stol(row[1]));
    const int64_t height = std::stol(row[2]), width = std::stol(row[3]);
    const std::string sizes = row[0] + "x" + row[1] + " to " + row[2] + "x" + row[3];
    const auto hash = [&](PassOrder order) {
      const RgbImage resized = resize_bicubic(image, height, width, order);
      return sha256_hex(std::as_bytes(std::span(resized.pixels)));
    };
    EXPECT_EQ(hash(PassOrder::kPillow13), row[4]) << sizes;
    EXPECT_EQ(hash(PassOrder::kRowsFirst), row[5]) << sizes;
  }
}

double keys_cubic(double x) {
  x = std::abs(x);
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

/// One axis in exact arithmetic, as a matrix of weights applied to one line.
std::vector<double> resized_line(const std::vector<double>& line, int64_t size) {
  const double scale = static_cast<double>(line.size()) / static_cast<double>(size), stretch = std::max(scale, 1.0);
  std::vector<double> out;
  for (int64_t i = 0; i < size; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    double sum = 0, weights = 0;
    for (std::size_t j = 0; j < line.size(); ++j) {
      const double weight = keys_cubic((static_cast<double>(j) + 0.5 - center) / stretch);
      sum += weight * line[j];
      weights += weight;
    }
    out.push_back(sum / weights);
  }
  return out;
}

/// Independent of Pillow: the textbook filter in float64, which fixed point may miss by its rounding at the most.
TEST(ResizeBicubic, OfOneRowIsKeysCubicWithinRounding) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    const int64_t width = 1 + random() % 90, to_width = 1 + random() % 90;
    const RgbImage image = random_image(1, width, random), resized = resize_bicubic(image, 1, to_width);
    std::vector<double> line;
    for (int64_t x = 0; x < width; ++x) line.push_back(image.pixels[3 * x + 1]);
    const std::vector<double> exact = resized_line(line, to_width);
    for (int64_t x = 0; x < to_width; ++x) {
      EXPECT_NEAR(resized.pixels[3 * x + 1], std::clamp(exact[x], 0.0, 255.0), 0.51) << width << " to " << to_width;
    }
  }
}

TEST(ResizeBicubic, LeavesAnEvenColourAsItIs) {
  std::mt19937 random(5);
  for (int round = 0; round < 40; ++round) {
    RgbImage image{1 + static_cast<int64_t>(random() % 60), 1 + static_cast<int64_t>(random() % 60), {}};
    for (int64_t i = 0; i < image.height * image.width; ++i) image.pixels.insert(image.pixels.end(), {7, 130, 255});
    const RgbImage resized = resize_bicubic(image, 1 + random() % 60, 1 + random() % 60);
    for (std::size_t i = 0; i < resized.pixels.size(); i += 3) {
      ASSERT_EQ(resized.pixels[i], 7);
      ASSERT_EQ(resized.pixels[i + 1], 130);
      ASSERT_EQ(resized.pixels[i + 2], 255);
    }
  }
}

TEST(ResizeBicubic, ToTheSameSizeIsACopy) {
  std::mt19937 random(7);
  const RgbImage image = random_image(13, 17, random);
  EXPECT_EQ(resize_bicubic(image, 13, 17).pixels, image.pixels);
}

RgbImage transposed(const RgbImage& image) {
  RgbImage out{image.width, image.height, {}};
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      const uint8_t* pixel = &image.pixels[(x * image.width + y) * 3];
      out.pixels.insert(out.pixels.end(), pixel, pixel + 3);
    }
  }
  return out;
}

/// The two passes have no code in common; they must agree where only one of them runs.
TEST(ResizeBicubic, OfOneSideIsTheTransposeOfTheOther) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const int64_t height = 1 + random() % 70, width = 1 + random() % 70, to_width = 1 + random() % 140;
    const RgbImage image = random_image(height, width, random);
    EXPECT_EQ(resize_bicubic(image, height, to_width).pixels,
              transposed(resize_bicubic(transposed(image), to_width, height)).pixels)
        << height << "x" << width << " to width " << to_width;
  }
}

}  // namespace
}  // namespace trireme
