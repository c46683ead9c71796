#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "data/image/image.h"

namespace trireme {

/// What a decoder hands to decode_image(): the pixels as stored, and EXIF's orientation 1-8 still to be applied.
struct DecodedImage {
  RgbImage image;
  int orientation = 1;
};

/// Each throws DataError as decode_image() says; the bytes begin with the format's signature.
DecodedImage decode_jpeg(std::span<const std::byte> bytes, std::string_view where);
DecodedImage decode_png(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha);
DecodedImage decode_webp(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha);

/// throws DataError above kMaxImagePixels. Called from the header, before anything of the image's size is allocated.
void check_pixel_count(int64_t height, int64_t width, std::string_view where);

[[noreturn]] void throw_truncated(std::string_view format, std::size_t bytes, std::string_view where);
[[noreturn]] void throw_corrupt(std::string_view format, std::string_view what, std::string_view where);

/// `value` with `alpha` over white, rounded as Pillow does: value * alpha / 255 + 255 - alpha.
inline uint8_t over_white(uint8_t value, uint8_t alpha) {
  const uint32_t v = value * uint32_t{alpha} + 255u * (255u - alpha) + 128u;
  return static_cast<uint8_t>((v + (v >> 8)) >> 8);
}

}  // namespace trireme
