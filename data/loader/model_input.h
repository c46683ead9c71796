#pragma once

#include <cstdint>
#include <optional>

#include "data/image/preprocess.h"
#include "data/tokenizer/tokenizer.h"

namespace trireme {

/// What a checkpoint says about its inputs.
struct ModelInput {
  const Tokenizer& tokenizer;
  int64_t image_token_id = -1;                          ///< config.json; -1 for a text-only model
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
};

}  // namespace trireme
