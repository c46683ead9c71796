#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "data/image/image.h"

namespace trireme {

/// The orientation that ImageOps.exif_transpose would apply: the Orientation tag (0x0112) of EXIF's first directory,
/// else "tiff:Orientation" in XMP, else 1. Metadata that cannot be read counts as absent: it is not part of the
/// image. exif  a TIFF structure, with or without "Exif\0\0" before it; empty = none.      xmp  the packet's text;
/// empty = none. return 1-8.
int find_orientation(std::span<const std::byte> exif, std::string_view xmp);

/// Turns and mirrors the stored image upright. orientation 1-8; 1 moves the image through.
RgbImage apply_orientation(RgbImage image, int orientation);

}  // namespace trireme
