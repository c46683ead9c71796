#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "models/generation/sampling.h"
#include "models/lmm.h"

namespace trireme {

struct GenerateOptions {
  SamplingConfig sampling;
  int64_t max_new_tokens = 128;
  std::vector<int64_t> stop_tokens;     ///< the first of them to be drawn ends a sequence
  std::vector<int64_t> allowed_tokens;  ///< what may be drawn; empty: the whole vocabulary
  torch::Tensor features;               ///< [image_rows, D]: the prompts' pictures, which then have no patches
};

struct Generation {
  std::vector<int64_t> tokens;  ///< what was drawn; a stop token is the last of them
  /// Of each token: log softmax of the unscaled scores over the whole vocabulary, nats; with sampling too. Equal to the
  /// forward pass over prompt and tokens, to the bit in float32 on a CPU with AVX-512, to 1e-5 elsewhere.
  std::vector<float> log_probabilities;
  bool stopped = false;  ///< by a stop token; else by max_new_tokens
};

/// Continues every prompt, several times where there are more seeds than prompts: completion i continues prompt
/// i / (seeds / prompts), and prompts are computed once. All go on together, a token at a time, until the last has
/// ended.
/// prompts  B packed sequences, pictures included; their `rows` are not looked at. Under M-RoPE the first new token
///          stands behind the largest position.
/// seeds    B or a multiple. Token t of a sequence is drawn from the stream (seed, t): what a sequence becomes does not
///          depend on the others. Greedy choice ignores them.
/// throws ConfigError: no head, max_new_tokens below 1, a stop or allowed token outside the vocabulary. ShapeError: as
/// check_batch(), seeds that are no multiple of the prompts. DataError: scores that are not finite.
/// memory: keys and values of the prompts once, and of max_new_tokens for each completion.
std::vector<Generation> generate(const Lmm& model, const PackedBatch& prompts, std::span<const uint64_t> seeds,
                                 const GenerateOptions& options);

}  // namespace trireme
