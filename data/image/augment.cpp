#include "data/image/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace trireme {
namespace {

constexpr int64_t kChannels = 3;
constexpr float kWhite = 255;

/// What was drawn for one picture.
struct Change {
  double radians = 0, stretch_x = 1, stretch_y = 1;
  double shift_x = 0, shift_y = 0;  ///< of the side
  float brightness = 1, contrast = 1, saturation = 1;
  bool grey = false;
};

Change draw_change(const AugmentConfig& config, RandomStream& stream) {
  const auto within = [&](double limit) { return limit * (2 * stream.uniform() - 1); };
  Change change;
  change.radians = within(config.rotate_degrees) * std::numbers::pi / 180;
  const double scale = within(config.scale), aspect = within(config.aspect);
  change.stretch_x = std::exp(scale + aspect / 2);
  change.stretch_y = std::exp(scale - aspect / 2);
  change.shift_x = within(config.shift);
  change.shift_y = within(config.shift);
  change.brightness = static_cast<float>(1 + within(config.colour));
  change.contrast = static_cast<float>(1 + within(config.colour));
  change.saturation = static_cast<float>(1 + within(config.colour));
  change.grey = stream.uniform() < config.grey;
  return change;
}

uint8_t to_sample(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f) + 0.5f); }

/// Where a point of the result lies in the picture: x = xx * column + xy * row + x0, and y alike.
struct InverseMap {
  float xx, xy, x0, yx, yy, y0;
};

InverseMap inverse_map(const RgbImage& image, const Change& change) {
  const double cosine = std::cos(change.radians), sine = std::sin(change.radians);
  const double xx = cosine / change.stretch_x, xy = sine / change.stretch_x;
  const double yx = -sine / change.stretch_y, yy = cosine / change.stretch_y;
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  // Of the result's first pixel's centre, from the point that the picture's centre moves to.
  const double from_x = 0.5 - width * (0.5 + change.shift_x), from_y = 0.5 - height * (0.5 + change.shift_y);
  const double x0 = xx * from_x + xy * from_y + width / 2 - 0.5, y0 = yx * from_x + yy * from_y + height / 2 - 0.5;
  return {static_cast<float>(xx), static_cast<float>(xy), static_cast<float>(x0),
          static_cast<float>(yx), static_cast<float>(yy), static_cast<float>(y0)};
}

using Pixel = std::array<float, kChannels>;

Pixel pixel_or_white(const RgbImage& image, int64_t x, int64_t y) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return {kWhite, kWhite, kWhite};
  const uint8_t* at = &image.pixels[static_cast<std::size_t>((y * image.width + x) * kChannels)];
  return {static_cast<float>(at[0]), static_cast<float>(at[1]), static_cast<float>(at[2])};
}

RgbImage warped(const RgbImage& image, const Change& change) {
  const InverseMap map = inverse_map(image, change);
  RgbImage out{image.height, image.width, std::vector<uint8_t>(image.pixels.size())};
  uint8_t* sample = out.pixels.data();
  for (int64_t row = 0; row < image.height; ++row) {
    for (int64_t column = 0; column < image.width; ++column, sample += kChannels) {
      const auto c = static_cast<float>(column), r = static_cast<float>(row);
      const float x = map.xx * c + map.xy * r + map.x0, y = map.yx * c + map.yy * r + map.y0;
      const float left = std::floor(x), top = std::floor(y), fx = x - left, fy = y - top;
      const auto ix = static_cast<int64_t>(left), iy = static_cast<int64_t>(top);
      const Pixel a = pixel_or_white(image, ix, iy), b = pixel_or_white(image, ix + 1, iy);
      const Pixel d = pixel_or_white(image, ix, iy + 1), e = pixel_or_white(image, ix + 1, iy + 1);
      for (std::size_t i = 0; i < kChannels; ++i) {
        const float above = a[i] + fx * (b[i] - a[i]), below = d[i] + fx * (e[i] - d[i]);
        sample[i] = to_sample(above + fy * (below - above));
      }
    }
  }
  return out;
}

/// Rec. 601 luma, as Pillow's convert("L") weighs it.
float luma(const float r, const float g, const float b) { return 0.299f * r + 0.587f * g + 0.114f * b; }

void recolour(RgbImage& image, const Change& change) {
  double sum = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += kChannels)
    sum += luma(image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]);
  const auto pixels = static_cast<double>(image.pixels.size() / kChannels);
  const auto mean = static_cast<float>(sum / pixels) * change.brightness;
  const float saturation = change.grey ? 0 : change.saturation;
  for (std::size_t i = 0; i < image.pixels.size(); i += kChannels) {
    Pixel value;
    for (std::size_t c = 0; c < kChannels; ++c)
      value[c] = mean + change.contrast * (static_cast<float>(image.pixels[i + c]) * change.brightness - mean);
    const float grey = luma(value[0], value[1], value[2]);
    for (std::size_t c = 0; c < kChannels; ++c) image.pixels[i + c] = to_sample(grey + saturation * (value[c] - grey));
  }
}

}  // namespace

RgbImage augment(const RgbImage& image, const AugmentConfig& config, RandomStream& stream) {
  const Change change = draw_change(config, stream);
  const bool moves = config.rotate_degrees > 0 || config.scale > 0 || config.shift > 0 || config.aspect > 0;
  RgbImage out = moves ? warped(image, change) : image;
  if (config.colour > 0 || change.grey) recolour(out, change);
  return out;
}

}  // namespace trireme
