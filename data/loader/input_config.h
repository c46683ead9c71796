#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "data/image/image.h"
#include "data/image/preprocess.h"
#include "data/loader/model_input.h"
#include "data/loader/packer.h"
#include "data/prompt/chat.h"

namespace trireme {

class FieldList;

/// How texts and images become a model's input, the same in training, embedding, generating and reranking. A base of
/// the configs whose keys these are. (After how many tokens a text is cut is the prompt's own.)
struct InputConfig {
  std::string system_prompt = std::string(kQwenSystemPrompt);
  RopeMode rope_mode = RopeMode::kMrope;
  AlphaMode alpha = AlphaMode::kWhite;
  std::optional<int64_t> min_pixels, max_pixels;  ///< in place of the checkpoint's own

  /// For the describe() of these configs: alpha; min_pixels and max_pixels.
  void describe_alpha(FieldList& v);
  void describe_pixel_limits(FieldList& v);
};

/// The checkpoint's image preprocessing with the config's pixel limits, where these are set; empty for a text-only
/// model. where: what the limits are an option of, for messages. throws ConfigError: min_pixels above max_pixels.
std::optional<ImageProcessorConfig> with_pixel_limits(std::optional<ImageProcessorConfig> processor,
                                                      const InputConfig& config, std::string_view where);

/// How sequences are packed.
PackOptions pack_options(const InputConfig& config, const ModelInput& model);

}  // namespace trireme
