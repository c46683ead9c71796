#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

#include "data/image/image.h"

namespace trireme {

/// When two pictures count as one.
enum class PictureComparison {
  kNone,       ///< never
  kSameBytes,  ///< their files are equal
  kDhash,      ///< their difference hashes are close
};
constexpr auto choice_names(PictureComparison) {
  return std::to_array<std::pair<PictureComparison, std::string_view>>({{PictureComparison::kNone, "none"},
                                                                        {PictureComparison::kSameBytes, "same_bytes"},
                                                                        {PictureComparison::kDhash, "dhash"}});
}

/// Difference hash: the picture as 8 rows of 9 grey values (bicubic, then Rec. 601 luma), one bit for each pair of
/// neighbours in a row, set where the right one is brighter; the first pair is the highest bit. Scaling, compression
/// and small changes of colour leave most bits as they are. A picture of one colour hashes to 0.
/// Source: N. Krawetz, "Kind of like that", 2013.
uint64_t difference_hash(const RgbImage& image);

/// The hash of a picture file that `comparison`, not kNone, compares. throws DataError: unreadable; for kDhash what
/// decode_image() refuses.
uint64_t picture_hash(const std::filesystem::path& file, PictureComparison comparison, std::string_view where);

/// Whether two hashes are of one picture; dhash_bits: how many bits may differ under kDhash.
bool same_picture_hash(uint64_t a, uint64_t b, PictureComparison comparison, int64_t dhash_bits);

}  // namespace trireme
