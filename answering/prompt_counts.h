#pragma once

#include <cstdint>

namespace trireme {

/// What asking computed, and what sharing spared it.
struct PromptCounts {
  int64_t prompts = 0;
  int64_t prompt_tokens = 0;    ///< of all prompts, each whole
  int64_t computed_tokens = 0;  ///< that went through the decoder
  int64_t prefix_tokens = 0;    ///< of prompt_tokens: in prefixes that all prompts of their group begin with
  int64_t images = 0;           ///< in all prompts
  int64_t encoded_images = 0;   ///< that went through the vision tower: each distinct one once

  /// 1 - computed_tokens / prompt_tokens; 0 without prompts.
  double saved_share() const;
  PromptCounts& operator+=(const PromptCounts& other);
};

}  // namespace trireme
