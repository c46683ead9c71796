#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "data/image/codec.h"
#include "data/image/image.h"
#include "data/image/orientation.h"

namespace trireme {
namespace {

bool has_at(std::span<const std::byte> bytes, std::size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() && !std::memcmp(bytes.data() + offset, magic.data(), magic.size());
}

std::string first_bytes(std::span<const std::byte> bytes) {
  std::string hex;
  for (const std::byte byte : bytes.first(std::min<std::size_t>(bytes.size(), 8))) {
    hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", std::to_integer<int>(byte));
  }
  return hex;
}

DecodedImage decode_stored(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha) {
  if (has_at(bytes, 0, "\xff\xd8\xff")) return decode_jpeg(bytes, where);
  if (has_at(bytes, 0, "\x89PNG\r\n\x1a\n")) return decode_png(bytes, where, alpha);
  if (has_at(bytes, 0, "RIFF") && has_at(bytes, 8, "WEBP")) return decode_webp(bytes, where, alpha);
  throw DataError(where,
                  fmt::format("an image must be JPEG, PNG or WebP; got {} bytes that begin with {}; convert it, or "
                              "drop the record.",
                              bytes.size(), first_bytes(bytes)));
}

}  // namespace

void check_pixel_count(int64_t height, int64_t width, std::string_view where) {
  TRIREME_CHECK(height > 0 && width > 0, DataError, where,
                "an image's sides must be at least 1 pixel; got {}x{} (width x height); drop the record.", width,
                height);
  TRIREME_CHECK(width <= kMaxImagePixels / height, DataError, where,
                "an image must have at most {} pixels; got {}x{} (width x height); scale it down.", kMaxImagePixels,
                width, height);
}

void throw_truncated(std::string_view format, std::size_t bytes, std::string_view where) {
  throw DataError(where, fmt::format("a {} must be complete; got {} bytes, which end before the image does; fetch the "
                                     "file again, or drop the record.",
                                     format, bytes));
}

void throw_corrupt(std::string_view format, std::string_view what, std::string_view where) {
  throw DataError(where,
                  fmt::format("a {} must be undamaged; got \"{}\" from its decoder; fetch the file again, or drop "
                              "the record.",
                              format, what));
}

RgbImage decode_image(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha) {
  TRIREME_CHECK(!bytes.empty(), DataError, where,
                "an image must have content; got 0 bytes; fetch the file again, or drop the record.");
  DecodedImage decoded = decode_stored(bytes, where, alpha);
  return apply_orientation(std::move(decoded.image), decoded.orientation);
}

}  // namespace trireme
