#pragma once

#include <cstdint>
#include <span>

#include "core/config/field_count.h"

namespace trireme {

/// How the next token is drawn from the vocabulary's scores.
struct SamplingConfig {
  double temperature = 0;
  int64_t top_k = 0;
  double top_p = 1;

  template <class V>
  void describe(V& v) {
    v.field("temperature", temperature, "Scores are divided by it before a token is drawn; 0 takes the highest score.")
        .at_least(0);
    v.field("top_k", top_k, "Draw from so many of the likeliest tokens; 0 = from all.").at_least(0);
    v.field("top_p", top_p, "Draw from the likeliest tokens that together reach this probability; 1 = from all.")
        .between(0, 1);
  }
};
static_assert(field_count<SamplingConfig>() == 3, "describe() must list every field");

/// The token drawn by one uniform number in [0, 1). logits: scores of the vocabulary, unscaled; -inf rules a token out.
/// Temperature, then top-k, then top-p (arXiv:1904.09751, sec. 3.1), in transformers' order: top-p keeps the fewest
/// likeliest tokens whose probabilities reach it, one at least. Equal scores: the lower id goes first, in greedy choice
/// too. cost: one pass; with top-k or top-p a sort of what they may keep.
int64_t pick_token(std::span<const float> logits, const SamplingConfig& config, double uniform);

}  // namespace trireme
