#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/image/image.h"

namespace trireme {

/// The picture shrunk to fit `side` x `side` pixels, its aspect kept and never enlarged, as a lossy WebP in base64: the
/// text behind "data:image/webp;base64,". About 1 KB for a drawing of 64 pixels, 2 KB for a photograph. The same
/// picture gives the same text. throws InternalError when the encoder fails.
std::string thumbnail_base64(const RgbImage& image, int64_t side);

/// The same of an image file. throws DataError as decode_image() does.
std::string thumbnail_base64(const std::filesystem::path& image_file, int64_t side);

}  // namespace trireme
