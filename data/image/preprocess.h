#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "data/image/image.h"

namespace trireme {

struct ImageSize {
  int64_t height = 0, width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// Which smart_resize: they differ for sides below half of a merged patch and for aspect ratios near 200.
enum class SmartResizeRule {
  kTransformers,  ///< a side that rounds to 0 counts as 0, so that the image is scaled up to min_pixels
  kLamra,         ///< the released LamRA code: sides rounded to at least one merged patch; result's aspect ratio <= 200
};

/// A checkpoint's image preprocessing (preprocessor_config.json, or the image part of processor_config.json).
struct ImageProcessorConfig {
  int64_t min_pixels = 56 * 56;
  int64_t max_pixels = 28 * 28 * 1280;
  int64_t patch_size = 14, merge_size = 2, temporal_patch_size = 2;
  std::array<float, 3> mean{0.48145466f, 0.4578275f, 0.40821073f}, std{0.26862954f, 0.26130258f, 0.27577711f};
  double rescale_factor = 1.0 / 255.0;
  // In no file: switches of the recipe.
  SmartResizeRule smart_resize_rule = SmartResizeRule::kTransformers;
  PassOrder pass_order = PassOrder::kPillow13;
};

/// As transformers reads it: processor_config.json's "image_processor" if there is one, else preprocessor_config.json;
/// min_pixels and max_pixels go before size's shortest_edge and longest_edge; absent fields keep the defaults above.
/// throws DataError: neither file, broken JSON, a field of the wrong type or out of range, another image_processor_type
/// (named), a step switched off or another resampling filter.
ImageProcessorConfig read_image_processor_config(const std::filesystem::path& model_folder);

/// transformers' smart_resize: both sides multiples of patch_size * merge_size, area within [min, max] pixels where the
/// aspect ratio allows, aspect kept as well as that permits.
/// throws DataError: a side of 0, or an aspect ratio above 200.
ImageSize smart_resize(ImageSize size, const ImageProcessorConfig& config, std::string_view where);

/// Patches in the processor's order (merge_size x merge_size groups together): rows of C * temporal * patch * patch
/// values, channel first, the still image repeated over the temporal axis.
struct ImagePatches {
  int64_t grid_h = 0, grid_w = 0;  ///< in patches; grid_t is 1
  std::vector<float> values;       ///< [grid_h * grid_w, C * temporal * patch * patch]
};

/// Resize as smart_resize says, rescale, normalise, cut into patches: bit for bit the slow Qwen2VLImageProcessor.
/// cost: the resize, then one pass over the result.
ImagePatches preprocess_image(const RgbImage& image, const ImageProcessorConfig& config, std::string_view where);

}  // namespace trireme
