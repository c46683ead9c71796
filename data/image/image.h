#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

/// 8-bit RGB, rows top to bottom, interleaved: pixels[(y * width + x) * 3 + channel].
struct RgbImage {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;
};

enum class AlphaMode {
  kWhite,  ///< composite on white, as transformers' and qwen-vl-utils' conversion to RGB does
  kDrop,   ///< keep the colour values and forget the alpha, as Pillow's convert("RGB") does
};
constexpr auto choice_names(AlphaMode) {
  return std::to_array<std::pair<AlphaMode, std::string_view>>(
      {{AlphaMode::kWhite, "white"}, {AlphaMode::kDrop, "drop"}});
}

/// Pillow's limit (twice MAX_IMAGE_PIXELS), above which a header alone is taken for a decompression bomb.
inline constexpr int64_t kMaxImagePixels = 178'956'970;

/// JPEG, PNG or WebP (told by content, the first frame of an animation) to RGB, EXIF orientation applied (or, without
/// it, XMP's, as ImageOps.exif_transpose does). The pixels are those of Pillow's Image.open().convert("RGB"), or of
/// compositing on white, with two differences:
///  * 16-bit grey is taken by its high byte, as 16-bit RGB is; Pillow clips it at 255.
///  * damage that Pillow paints over is refused: a JPEG segment that ends early or holds impossible codes, a PNG
///  checksum
///    that does not match, a file without its end marker.
/// where: the record and file, for the message.
/// throws DataError: empty, not one of the three formats, corrupt, truncated, above kMaxImagePixels.
/// cost   the decoder's, one copy more for orientations 2-8; memory follows the pixels decoded, not the size claimed.
RgbImage decode_image(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha = AlphaMode::kWhite);

/// Which of the two passes comes first; they round to 8 bits in between, so it shows in the last bits.
enum class PassOrder {
  kPillow13,  ///< as Pillow 13: columns first where that loses more than twice as many rows as columns, else rows first
  kRowsFirst,  ///< as Pillow up to 12.1: each row is resized, then each column
};

/// Bit for bit Pillow's Image.resize((width, height), BICUBIC) on an RGB image: fixed point with 22 bits.
/// Both sides of both images at least 1.
RgbImage resize_bicubic(const RgbImage& image, int64_t height, int64_t width, PassOrder order = PassOrder::kPillow13);

}  // namespace trireme
