#include "retrieval/mining/picture_hash.h"

#include <bit>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"

namespace trireme {
namespace {

/// Rec. 601, as 16-bit fixed point.
int32_t luma(const uint8_t* rgb) { return (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16; }

}  // namespace

uint64_t difference_hash(const RgbImage& image) {
  constexpr int64_t kRows = 8, kPairs = 8;
  const RgbImage small = resize_bicubic(image, kRows, kPairs + 1);
  uint64_t hash = 0;
  for (int64_t y = 0; y < kRows; ++y)
    for (int64_t x = 0; x < kPairs; ++x) {
      const uint8_t* const left = small.pixels.data() + (y * (kPairs + 1) + x) * 3;
      hash = hash << 1 | uint64_t{luma(left + 3) > luma(left)};
    }
  return hash;
}

uint64_t picture_hash(const std::filesystem::path& file, PictureComparison comparison, std::string_view where) {
  TRIREME_ASSERT(comparison != PictureComparison::kNone, "nothing is compared");
  const MappedFile bytes(file);
  if (comparison == PictureComparison::kSameBytes) return xxh3_64(bytes.bytes());
  return difference_hash(decode_image(bytes.bytes(), where));
}

bool same_picture_hash(uint64_t a, uint64_t b, PictureComparison comparison, int64_t dhash_bits) {
  switch (comparison) {
    case PictureComparison::kNone:
      return false;
    case PictureComparison::kSameBytes:
      return a == b;
    case PictureComparison::kDhash:
      return std::popcount(a ^ b) <= dhash_bits;
  }
  TRIREME_ASSERT(false, "comparison {}", static_cast<int>(comparison));
}

}  // namespace trireme
