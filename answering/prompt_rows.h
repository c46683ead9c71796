#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "answering/encoded_images.h"
#include "answering/prompt_counts.h"
#include "core/tensor.h"
#include "data/loader/packer.h"
#include "models/lmm.h"

namespace trireme {

/// A prompt that is to be answered.
struct Prompt {
  std::vector<int64_t> tokens;
  std::vector<const EncodedImage*> images;  ///< in order of appearance
  std::vector<int64_t> image_begin;         ///< place of each one's first token
};

/// Prompts that begin alike: those of one query.
using PromptGroup = std::vector<Prompt>;

/// A prompt's tokens and images up to `end`, which lies in no image.
SequenceView view_of(const Prompt& prompt, int64_t end);

/// How many tokens all prompts have in common from the start, one of each left over at least. Tokens are the same when
/// their ids are, and behind image tokens the images.
int64_t common_prefix(const PromptGroup& group);

struct PromptRowOptions {
  PackOptions pack;
  bool share_prefix = true;
  int64_t batch_tokens = 8192;  ///< computed at a time, one prompt at least
};

/// What was asked of prompts, group by group.
struct PromptValues {
  torch::Tensor values;
  PromptCounts counts;
};

// Both compute the common prefix of a group once where share_prefix says so, and continue it with each prompt. Where
// the cache is exact to the bit (see kv_cache.h) a prompt's values depend on that prompt alone, whatever the group, the
// order and the switch. features: of EncodedImages. No gradient is recorded. cost: memory of keys and values, 2
// batch_tokens at most but for a prompt longer than that.

/// [prompts, D] in the model's dtype: the final norm's output behind each prompt, from which its next token is read.
PromptValues prompt_rows(const Lmm& model, std::span<const PromptGroup> groups, const torch::Tensor& features,
                         const PromptRowOptions& options);

/// [prompts, choices] float32: log p(choice | prompt), nats, over the whole vocabulary: the sum over the choice's
/// tokens. A prompt is computed once, choices of several tokens as its continuations.
/// throws ConfigError: no head, no choice, a choice without tokens or with one outside the vocabulary.
PromptValues choice_log_probabilities(const Lmm& model, std::span<const PromptGroup> groups,
                                      const torch::Tensor& features, std::span<const std::vector<int64_t>> choices,
                                      const PromptRowOptions& options);

}  // namespace trireme
