#include "data/image/preprocess.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"

namespace trireme {
namespace {

constexpr int64_t kChannels = 3;

/// Normalised value of every 8-bit sample, per channel: the processor scales in float64 and stores float32, then
/// subtracts and divides in float32.
using ValueTable = std::array<std::array<float, 256>, kChannels>;

ValueTable value_table(const ImageProcessorConfig& config) {
  ValueTable table;
  for (int64_t channel = 0; channel < kChannels; ++channel) {
    for (int sample = 0; sample < 256; ++sample) {
      const auto scaled = static_cast<float>(sample * config.rescale_factor);
      table[channel][sample] = (scaled - config.mean[channel]) / config.std[channel];
    }
  }
  return table;
}

}  // namespace

ImagePatches preprocess_image(const RgbImage& image, const ImageProcessorConfig& config, std::string_view where) {
  const ImageSize size = smart_resize({image.height, image.width}, config, where);
  RgbImage resized;
  const bool fits = size == ImageSize{image.height, image.width};
  if (!fits) resized = resize_bicubic(image, size.height, size.width, config.pass_order);
  const uint8_t* pixels = fits ? image.pixels.data() : resized.pixels.data();

  const ValueTable table = value_table(config);
  const int64_t patch = config.patch_size, merge = config.merge_size, repeats = config.temporal_patch_size;
  const int64_t row_bytes = size.width * kChannels;
  const auto frame_values = static_cast<std::size_t>(patch * patch);
  const auto patch_values = frame_values * static_cast<std::size_t>(kChannels * repeats);
  ImagePatches patches{.grid_h = size.height / patch, .grid_w = size.width / patch, .values = {}};
  std::vector<float>& values = patches.values;
  values.reserve(static_cast<std::size_t>(patches.grid_h * patches.grid_w) * patch_values);

  const auto append_patch = [&](int64_t row, int64_t column) {
    // Grown patch by patch: what resize() clears is written over while it is still in the nearest cache.
    values.resize(values.size() + patch_values);
    float* out = values.data() + values.size() - patch_values;
    const uint8_t* corner = pixels + row * patch * row_bytes + column * patch * kChannels;
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      const float* const frame = out;
      for (int64_t y = 0; y < patch; ++y) {
        const uint8_t* sample = corner + y * row_bytes + channel;
        for (int64_t x = 0; x < patch; ++x) *out++ = table[channel][sample[x * kChannels]];
      }
      for (int64_t repeat = 1; repeat < repeats; ++repeat) out = std::copy_n(frame, frame_values, out);
    }
  };
  for (int64_t row = 0; row < patches.grid_h; row += merge) {
    for (int64_t column = 0; column < patches.grid_w; column += merge) {
      for (int64_t y = 0; y < merge; ++y) {
        for (int64_t x = 0; x < merge; ++x) append_patch(row + y, column + x);
      }
    }
  }
  return patches;
}

}  // namespace trireme
