#include "data/preparation/drawing.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include <png.h>

#include "core/error.h"
#include "data/image/codec.h"

namespace trireme {
namespace {

struct Box {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// The smallest box around what is not fully transparent; empty when all is.
Box alpha_box(const Drawing& drawing) {
  const auto [height, width, unused] = drawing.on_white;
  int64_t top = height, bottom = -1, left = width, right = -1;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      if (drawing.alpha[static_cast<std::size_t>(y * width + x)] == 0) continue;
      top = std::min(top, y);
      bottom = std::max(bottom, y);
      left = std::min(left, x);
      right = std::max(right, x);
    }
  }
  return bottom < 0 ? Box{} : Box{top, left, bottom - top + 1, right - left + 1};
}

void copy_rows(const RgbImage& from, int64_t from_y, int64_t from_x, RgbImage& to, int64_t to_y, int64_t to_x,
               int64_t height, int64_t width) {
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* source = from.pixels.data() + ((from_y + y) * from.width + from_x) * 3;
    std::copy_n(source, width * 3, to.pixels.data() + ((to_y + y) * to.width + to_x) * 3);
  }
}

RgbImage white(int64_t height, int64_t width) {
  return {height, width, std::vector<uint8_t>(static_cast<std::size_t>(height * width * 3), 255)};
}

}  // namespace

Drawing read_png_drawing(std::span<const std::byte> bytes, std::string_view where) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, void (*)(png_image*)> freed(&image, &png_image_free);
  TRIREME_CHECK(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()), DataError, where,
                "the picture must be a PNG; got \"{}\"; reinstall the package.", image.message);
  check_pixel_count(image.height, image.width, where);
  image.format = PNG_FORMAT_RGBA;
  std::vector<uint8_t> rgba(PNG_IMAGE_SIZE(image));
  TRIREME_CHECK(png_image_finish_read(&image, nullptr, rgba.data(), 0, nullptr), DataError, where,
                "the PNG must be whole; got \"{}\"; reinstall the package.", image.message);
  return drawing_of_rgba(image.height, image.width, rgba);
}

Drawing drawing_of_rgba(int64_t height, int64_t width, std::span<const uint8_t> rgba) {
  const auto pixels = static_cast<std::size_t>(height * width);
  TRIREME_ASSERT(rgba.size() == pixels * 4, "{} bytes for {} pixels", rgba.size(), pixels);
  Drawing drawing{{height, width, std::vector<uint8_t>(pixels * 3)}, std::vector<uint8_t>(pixels)};
  for (std::size_t i = 0; i < pixels; ++i) {
    const uint8_t alpha = drawing.alpha[i] = rgba[i * 4 + 3];
    for (std::size_t c = 0; c < 3; ++c) drawing.on_white.pixels[i * 3 + c] = over_white(rgba[i * 4 + c], alpha);
  }
  return drawing;
}

RgbImage fit_square(const Drawing& drawing, int64_t side, std::string_view where) {
  const Box box = alpha_box(drawing);
  TRIREME_CHECK(box.height > 0, DataError, where,
                "a picture must show something; got one that is transparent all over; reinstall the package.");
  RgbImage cropped = white(box.height, box.width);
  copy_rows(drawing.on_white, box.top, box.left, cropped, 0, 0, box.height, box.width);
  const double scale = static_cast<double>(side) / static_cast<double>(std::max(box.height, box.width));
  const auto scaled_side = [&](int64_t length) {
    return std::clamp<int64_t>(std::llround(static_cast<double>(length) * scale), 1, side);
  };
  const RgbImage scaled = resize_bicubic(cropped, scaled_side(box.height), scaled_side(box.width));
  RgbImage square = white(side, side);
  copy_rows(scaled, 0, 0, square, (side - scaled.height) / 2, (side - scaled.width) / 2, scaled.height, scaled.width);
  return square;
}

std::string png_bytes(const RgbImage& rgb) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(rgb.width);
  image.height = static_cast<png_uint_32>(rgb.height);
  image.format = PNG_FORMAT_RGB;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  const int written = png_image_write_to_memory(&image, bytes.data(), &size, 0, rgb.pixels.data(), 0, nullptr);
  TRIREME_ASSERT(written, "libpng: {}", image.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace trireme
