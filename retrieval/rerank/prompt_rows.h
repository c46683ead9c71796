#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "data/loader/packer.h"
#include "models/lmm.h"
#include "retrieval/rerank/picture_features.h"
#include "retrieval/rerank/rerank_counts.h"

namespace trireme {

/// A prompt whose next token is asked for.
struct ScoredPrompt {
  std::vector<int64_t> tokens;
  std::vector<const EncodedPicture*> pictures;  ///< in order of appearance
  std::vector<int64_t> picture_begin;           ///< place of each one's first token
};

/// Prompts that begin alike: those of one query.
using PromptGroup = std::vector<ScoredPrompt>;

/// How many tokens all prompts have in common from the start, one of each left over at least. Tokens are the same when
/// their ids are, and behind image tokens the pictures.
int64_t common_prefix(const PromptGroup& group);

struct PromptRowOptions {
  PackOptions pack;
  bool share_prefix = true;
  int64_t batch_tokens = 8192;  ///< computed at a time, one prompt at least
};

struct PromptRows {
  torch::Tensor rows;  ///< [prompts, D] in the model's dtype: the final norm's output behind each, group by group
  RerankCounts counts;
};

/// The decoder's rows from which the token behind each prompt is read. With share_prefix the common prefix of a group
/// goes through the decoder once, and each prompt continues it. Where the cache is exact to the bit (see kv_cache.h) a
/// prompt's row depends on that prompt alone, whatever the group, the order and the switch.
/// Records no gradient. cost: memory of keys and values, 2 batch_tokens at most but for a prompt longer than that.
PromptRows prompt_rows(const Lmm& model, std::span<const PromptGroup> groups, const torch::Tensor& features,
                       const PromptRowOptions& options);

}  // namespace trireme
