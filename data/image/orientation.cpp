#include "data/image/orientation.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "core/error.h"

namespace trireme {
namespace {

/// Reads integers of a TIFF structure in its own byte order; nullopt beyond the end.
class TiffReader {
 public:
  TiffReader(std::span<const std::byte> bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  std::optional<uint32_t> read(uint64_t offset, int width) const {
    if (offset > bytes_.size() || bytes_.size() - offset < static_cast<uint64_t>(width)) return std::nullopt;
    uint32_t value = 0;
    for (int i = 0; i < width; ++i) {
      const uint64_t at = big_endian_ ? offset + i : offset + width - 1 - i;
      value = value << 8 | std::to_integer<uint32_t>(bytes_[at]);
    }
    return value;
  }
  uint64_t size() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_;
};

constexpr uint32_t kOrientationTag = 0x0112;
constexpr int kNoTurn = 1;

/// TIFF 6.0, section 2: bytes of one value of each field type; 0 = no such type.
constexpr int kFieldBytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};

/// The tag's value, kNoTurn where it is no integer, nullopt when absent or unreadable.
std::optional<int> exif_orientation(std::span<const std::byte> bytes) {
  static constexpr char kPrefix[] = {'E', 'x', 'i', 'f', 0, 0};
  for (int i = 0; i < 2 && bytes.size() >= sizeof kPrefix && !std::memcmp(bytes.data(), kPrefix, sizeof kPrefix); ++i) {
    bytes = bytes.subspan(sizeof kPrefix);
  }
  if (bytes.size() < 8) return std::nullopt;
  const bool big_endian = bytes[0] == std::byte{'M'} && bytes[1] == std::byte{'M'};
  if (!big_endian && !(bytes[0] == std::byte{'I'} && bytes[1] == std::byte{'I'})) return std::nullopt;
  const TiffReader tiff(bytes, big_endian);
  // Some writers swap the bytes of the magic number 42; Pillow accepts both orders.
  if (const uint32_t magic = *tiff.read(2, 2); magic != 42 && magic != 42 << 8) return std::nullopt;

  const uint64_t directory = *tiff.read(4, 4);
  const uint32_t entries = tiff.read(directory, 2).value_or(0);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) break;
    if (*tiff.read(entry, 2) != kOrientationTag) continue;
    const uint32_t type = *tiff.read(entry + 2, 2);
    if (type >= std::size(kFieldBytes) || kFieldBytes[type] == 0) continue;
    const int width = kFieldBytes[type];
    const uint64_t value_bytes = uint64_t{*tiff.read(entry + 4, 4)} * width;
    const uint64_t at = value_bytes > 4 ? *tiff.read(entry + 8, 4) : entry + 8;
    if (value_bytes == 0 || at + value_bytes > tiff.size()) continue;
    const bool is_integer = type == 3 || type == 4 || type == 8 || type == 9 || type == 13;
    return is_integer ? static_cast<int>(*tiff.read(at, width)) : kNoTurn;
  }
  return std::nullopt;
}

/// The first digit after `tiff:Orientation="` or `tiff:Orientation>`.
std::optional<int> xmp_orientation(std::string_view xmp) {
  static constexpr std::string_view kName = "tiff:Orientation";
  for (std::size_t at = xmp.find(kName); at != xmp.npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

}  // namespace

int find_orientation(std::span<const std::byte> exif, std::string_view xmp) {
  std::optional<int> orientation = exif_orientation(exif);
  if (!orientation) orientation = xmp_orientation(xmp);
  return orientation && *orientation >= 1 && *orientation <= 8 ? *orientation : kNoTurn;
}

RgbImage apply_orientation(RgbImage image, int orientation) {
  TRIREME_ASSERT(orientation >= 1 && orientation <= 8, "orientation = {}", orientation);
  if (orientation == kNoTurn) return image;
  // Where the stored row 0, column 0 lies in the upright image is EXIF's definition; read backwards here: whether the
  // upright image's first pixel lies in the last stored column, the last stored row, and whether its rows are
  // columns.
  const bool transposed = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  RgbImage out{.height = transposed ? image.width : image.height,
               .width = transposed ? image.height : image.width,
               .pixels = std::vector<uint8_t>(image.pixels.size())};
  const int64_t step_column = from_right ? -3 : 3;
  const int64_t step_row = from_bottom ? -3 * image.width : 3 * image.width;
  const uint8_t* origin = image.pixels.data() + (from_right ? 3 * (image.width - 1) : 0) +
                          (from_bottom ? 3 * image.width * (image.height - 1) : 0);
  const int64_t step_x = transposed ? step_row : step_column, step_y = transposed ? step_column : step_row;
  // Tiles keep the rows that a transposed walk jumps between in the cache.
  constexpr int64_t kTile = 32;
  for (int64_t y0 = 0; y0 < out.height; y0 += kTile) {
    for (int64_t x0 = 0; x0 < out.width; x0 += kTile) {
      for (int64_t y = y0; y < std::min(y0 + kTile, out.height); ++y) {
        for (int64_t x = x0; x < std::min(x0 + kTile, out.width); ++x) {
          std::memcpy(out.pixels.data() + (y * out.width + x) * 3, origin + y * step_y + x * step_x, 3);
        }
      }
    }
  }
  return out;
}

}  // namespace trireme
