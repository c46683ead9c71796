#pragma once

#include <cstdint>
#include <span>

namespace trireme {

class FieldList;

/// How the next token is drawn from the vocabulary's scores.
struct SamplingConfig {
  double temperature = 0;
  int64_t top_k = 0;
  double top_p = 1;

  void describe(FieldList& v);
};

/// The token drawn by one uniform number in [0, 1). logits: scores of the vocabulary, unscaled; -inf rules a token out.
/// Temperature, then top-k, then top-p (arXiv:1904.09751, sec. 3.1), in transformers' order: top-p keeps the fewest
/// likeliest tokens whose probabilities reach it, one at least. Equal scores: the lower id goes first, in greedy choice
/// too. cost: one pass; with top-k or top-p a sort of what they may keep.
int64_t pick_token(std::span<const float> logits, const SamplingConfig& config, double uniform);

}  // namespace trireme
