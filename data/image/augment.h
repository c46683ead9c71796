#pragma once

#include "core/rng.h"
#include "data/image/image.h"

namespace trireme {

class FieldList;

/// Random changes of an image before it is resized for the model. All zeros change nothing.
/// One affine map (rotation, scale, aspect, shift about the centre) sampled bilinearly over white, then colour, then
/// grey. Every amount is uniform in [-limit, limit]; scale and aspect are exponents, so that enlarging and shrinking by
/// the same factor are equally likely.
struct AugmentConfig {
  double rotate_degrees = 0;
  double scale = 0;   ///< 0.2: both sides times exp(u), |u| <= 0.2
  double shift = 0;   ///< of the side's length, each axis
  double aspect = 0;  ///< width times exp(u / 2), height divided by it
  double colour = 0;  ///< brightness, contrast and saturation: each times 1 + u
  double grey = 0;    ///< probability of losing all colour

  void describe(FieldList& v);
  bool is_off() const noexcept {
    return rotate_degrees == 0 && scale == 0 && shift == 0 && aspect == 0 && colour == 0 && grey == 0;
  }
};

/// The image, changed; same size. Draws the same number of values from `stream` whatever the config is, so that one
/// limit can be changed without changing what the others draw.
RgbImage augment(const RgbImage& image, const AugmentConfig& config, RandomStream& stream);

}  // namespace trireme
