#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/image/preprocess.h"

namespace trireme {
namespace {

constexpr double kMaxAspectRatio = 200.0;

}  // namespace

// Python's arithmetic, operation by operation: int / int and float / int are float64 divisions, round() is to even.
ImageSize smart_resize(ImageSize size, const ImageProcessorConfig& config, std::string_view where) {
  TRIREME_CHECK(size.height > 0 && size.width > 0, DataError, where,
                "an image's sides must be at least 1 pixel; got {}x{} (width x height); drop the record.", size.width,
                size.height);
  const auto height = static_cast<double>(size.height), width = static_cast<double>(size.width);
  const double ratio = std::max(height, width) / std::min(height, width);
  TRIREME_CHECK(
      ratio <= kMaxAspectRatio, DataError, where,
      "an image's longer side must be at most {} times the shorter; got {}x{} (width x height), ratio {:.1f}; "
      "crop it, or drop the record.",
      kMaxAspectRatio, size.width, size.height, ratio);

  const int64_t factor = config.patch_size * config.merge_size;
  const auto factor_f = static_cast<double>(factor);
  const bool lamra = config.smart_resize_rule == SmartResizeRule::kLamra;
  const int64_t least = lamra ? factor : 0;
  const auto to_multiple = [&](double units) { return static_cast<int64_t>(units) * factor; };

  ImageSize result{std::max(least, to_multiple(std::nearbyint(height / factor_f))),
                   std::max(least, to_multiple(std::nearbyint(width / factor_f)))};
  const double area = height * width;
  if (result.height * result.width > config.max_pixels) {
    const double beta = std::sqrt(area / static_cast<double>(config.max_pixels));
    const int64_t floor_least = lamra ? 0 : factor;
    result = {std::max(floor_least, to_multiple(std::floor(height / beta / factor_f))),
              std::max(floor_least, to_multiple(std::floor(width / beta / factor_f)))};
  } else if (result.height * result.width < config.min_pixels) {
    const double beta = std::sqrt(static_cast<double>(config.min_pixels) / area);
    result = {to_multiple(std::ceil(height * beta / factor_f)), to_multiple(std::ceil(width * beta / factor_f))};
  }
  if (lamra) {
    constexpr auto kRatio = static_cast<int64_t>(kMaxAspectRatio);
    result.height = std::min(result.height, kRatio * result.width);
    result.width = std::min(result.width, kRatio * result.height);
  }
  TRIREME_CHECK(
      result.height > 0 && result.width > 0, DataError, where,
      "max_pixels must leave each side at least {} pixels; got {}x{} (width x height) to be scaled to {}x{} by "
      "max_pixels = {}; raise it, or drop the record.",
      factor, size.width, size.height, result.width, result.height, config.max_pixels);
  return result;
}

}  // namespace trireme
