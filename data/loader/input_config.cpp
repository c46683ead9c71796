#include "data/loader/input_config.h"

#include "core/config/field_list.h"
#include "core/error.h"

namespace trireme {

void InputConfig::describe_alpha(FieldList& v) {
  v.field("alpha", alpha, "Transparent pictures: composited on white, or colour values with the alpha forgotten.");
}

void InputConfig::describe_pixel_limits(FieldList& v) {
  v.field("min_pixels", min_pixels, "Smaller pictures are enlarged to it; default: the checkpoint's.").positive();
  v.field("max_pixels", max_pixels, "Larger pictures are shrunk to it; default: the checkpoint's.").positive();
}

std::optional<ImageProcessorConfig> with_pixel_limits(std::optional<ImageProcessorConfig> processor,
                                                      const InputConfig& config, std::string_view where) {
  if (!processor) return std::nullopt;
  processor->min_pixels = config.min_pixels.value_or(processor->min_pixels);
  processor->max_pixels = config.max_pixels.value_or(processor->max_pixels);
  TRIREME_CHECK(processor->min_pixels <= processor->max_pixels, ConfigError, where,
                "min_pixels must be at most max_pixels, each the checkpoint's own where it is not given; got {} and "
                "{}; change one of them.",
                processor->min_pixels, processor->max_pixels);
  return processor;
}

PackOptions pack_options(const InputConfig& config, const ModelInput& model) {
  PackOptions options{.rope_mode = config.rope_mode, .image_token_id = model.image_token_id};
  if (model.image_processor) options.merge_size = model.image_processor->merge_size;
  return options;
}

}  // namespace trireme
