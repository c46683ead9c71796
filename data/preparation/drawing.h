#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image.h"

namespace trireme {

/// A picture that knows where it is drawn on: composited on white, with the alpha it had.
struct Drawing {
  RgbImage on_white;
  std::vector<uint8_t> alpha;  ///< [height * width]
};

/// PNG bytes with their alpha. throws DataError: not a PNG, corrupt, above kMaxImagePixels.
Drawing read_png_drawing(std::span<const std::byte> bytes, std::string_view where);

/// rgba: [height * width * 4], colour not multiplied by alpha.
Drawing drawing_of_rgba(int64_t height, int64_t width, std::span<const uint8_t> rgba);

/// Cropped to where alpha is above 0, scaled so that the longer side is `side` (Pillow's bicubic filter), centred on a
/// white square. throws DataError: nothing is drawn.
RgbImage fit_square(const Drawing& drawing, int64_t side, std::string_view where);

/// A PNG of 8-bit RGB. The same pixels give the same bytes with the same libpng and zlib.
std::string png_bytes(const RgbImage& image);

}  // namespace trireme
