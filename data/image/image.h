#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace trireme {

/// 8-bit RGB, rows top to bottom, interleaved: pixels[(y * width + x) * 3 + channel].
struct RgbImage {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;
};

enum class AlphaMode {
  kWhite,  ///< composite on white
  kDrop,   ///< keep the colour values and forget the alpha, as Pillow's convert("RGB") does
};

/// JPEG, PNG or WebP (told by content) to RGB as Pillow decodes it, EXIF orientation applied: grey, palette, 16-bit
/// (high byte), RGBA, CMYK JPEG.
/// where: the record and file, for the message.
/// throws DataError: empty, not one of the three formats, corrupt, truncated, above 178,956,970 pixels.
RgbImage decode_image(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha = AlphaMode::kWhite);

/// Bit for bit Pillow's Image.resize((width, height), BICUBIC) on an RGB image.
RgbImage resize_bicubic(const RgbImage& image, int64_t height, int64_t width);

}  // namespace trireme
