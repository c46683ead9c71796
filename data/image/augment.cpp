#include "data/image/augment.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "core/config/field_list.h"

namespace trireme {

void AugmentConfig::describe(FieldList& v) {
  v.field("rotate_degrees", rotate_degrees, "Turn by up to so many degrees.").between(0, 180);
  v.field("scale", scale, "Enlarge or shrink by up to a factor of exp(scale).").between(0, 2);
  v.field("shift", shift, "Move by up to this share of each side.").between(0, 1);
  v.field("aspect", aspect, "Change width to height by up to a factor of exp(aspect).").between(0, 2);
  v.field("colour", colour, "Brightness, contrast, saturation: times 1 - colour to 1 + colour.").between(0, 1);
  v.field("grey", grey, "Probability of a picture without colour.").between(0, 1);
}
static_assert(field_count<AugmentConfig>() == 6, "describe() must list every field");
namespace {

constexpr int64_t kChannels = 3;

/// Red, green and blue of one pixel side by side in a vector register, and a fourth that nobody reads.
using Floats4 = float __attribute__((vector_size(16)));
struct Pixel {
  Floats4 rgb;
};
using Pixels = std::vector<Pixel>;

constexpr Floats4 kWhite = {255, 255, 255, 255};

/// What was drawn for one image.
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

/// Where a pixel of the result lies in the image, which has one white pixel around it: x = xx * column + xy * row +
/// x0, and y alike.
struct InverseMap {
  float xx, xy, x0, yx, yy, y0;
};

InverseMap inverse_map(const RgbImage& image, const Change& change) {
  const double cosine = std::cos(change.radians), sine = std::sin(change.radians);
  const double xx = cosine / change.stretch_x, xy = sine / change.stretch_x;
  const double yx = -sine / change.stretch_y, yy = cosine / change.stretch_y;
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  // Of the result's first pixel's centre, from the point that the image's centre moves to.
  const double from_x = 0.5 - width * (0.5 + change.shift_x), from_y = 0.5 - height * (0.5 + change.shift_y);
  const double x0 = xx * from_x + xy * from_y + width / 2 + 0.5, y0 = yx * from_x + yy * from_y + height / 2 + 0.5;
  return {static_cast<float>(xx), static_cast<float>(xy), static_cast<float>(x0),
          static_cast<float>(yx), static_cast<float>(yy), static_cast<float>(y0)};
}

Floats4 pixel_at(const uint8_t* sample) {
  return Floats4{static_cast<float>(sample[0]), static_cast<float>(sample[1]), static_cast<float>(sample[2]), 0};
}

/// The image, with `border` white pixels before and two more behind each row and column.
Pixels to_pixels(const RgbImage& image, int64_t border) {
  const int64_t behind = border > 0 ? border + 1 : 0, stride = image.width + border + behind;
  Pixels pixels(static_cast<std::size_t>(stride * (image.height + border + behind)), Pixel{kWhite});
  const uint8_t* sample = image.pixels.data();
  for (int64_t row = 0; row < image.height; ++row) {
    Pixel* out = &pixels[static_cast<std::size_t>((row + border) * stride + border)];
    for (int64_t column = 0; column < image.width; ++column, sample += kChannels) out++->rgb = pixel_at(sample);
  }
  return pixels;
}

Pixels warped(const RgbImage& image, const Change& change) {
  const InverseMap map = inverse_map(image, change);
  const Pixels source = to_pixels(image, 1);
  const int64_t stride = image.width + 3;
  const auto last_x = static_cast<float>(image.width + 1), last_y = static_cast<float>(image.height + 1);
  Pixels out(static_cast<std::size_t>(image.height * image.width));
  Pixel* result = out.data();
  for (int64_t row = 0; row < image.height; ++row) {
    for (int64_t column = 0; column < image.width; ++column) {
      const auto c = static_cast<float>(column), r = static_cast<float>(row);
      // What lies outside takes a pixel of the white border, which is white on all four sides.
      const float x = std::clamp(map.xx * c + map.xy * r + map.x0, 0.0f, last_x);
      const float y = std::clamp(map.yx * c + map.yy * r + map.y0, 0.0f, last_y);
      const auto left = static_cast<int32_t>(x), top = static_cast<int32_t>(y);
      const float fx = x - static_cast<float>(left), fy = y - static_cast<float>(top);
      const Pixel* corner = &source[static_cast<std::size_t>(top * stride + left)];
      const Floats4 above = corner[0].rgb + fx * (corner[1].rgb - corner[0].rgb);
      const Floats4 below = corner[stride].rgb + fx * (corner[stride + 1].rgb - corner[stride].rgb);
      result++->rgb = above + fy * (below - above);
    }
  }
  return out;
}

/// Rec. 601 luma, as Pillow's convert("L") weighs it.
float luma(const Floats4& p) { return 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]; }

void recolour(Pixels& pixels, const Change& change) {
  double sum = 0;
  for (const Pixel& pixel : pixels) sum += luma(pixel.rgb);
  const auto mean = static_cast<float>(sum / static_cast<double>(pixels.size())) * change.brightness;
  const float saturation = change.grey ? 0 : change.saturation, gain = change.contrast * change.brightness;
  const float offset = mean - change.contrast * mean;
  for (Pixel& pixel : pixels) {
    const Floats4 value = pixel.rgb * gain + offset;
    const float grey = luma(value);
    pixel.rgb = grey + saturation * (value - grey);
  }
}

void store(const Pixels& pixels, std::vector<uint8_t>& samples) {
  uint8_t* out = samples.data();
  for (const Pixel& pixel : pixels) {
    for (int channel = 0; channel < kChannels; ++channel)
      *out++ = static_cast<uint8_t>(std::clamp(pixel.rgb[channel], 0.0f, 255.0f) + 0.5f);
  }
}

}  // namespace

RgbImage augment(const RgbImage& image, const AugmentConfig& config, RandomStream& stream) {
  const Change change = draw_change(config, stream);
  const bool moves = config.rotate_degrees > 0 || config.scale > 0 || config.shift > 0 || config.aspect > 0;
  const bool recolours = config.colour > 0 || change.grey;
  if (!moves && !recolours) return image;
  Pixels pixels = moves ? warped(image, change) : to_pixels(image, 0);
  if (recolours) recolour(pixels, change);
  RgbImage out{image.height, image.width, std::vector<uint8_t>(image.pixels.size())};
  store(pixels, out.pixels);
  return out;
}

}  // namespace trireme
