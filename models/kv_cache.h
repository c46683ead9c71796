#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "models/lmm.h"
#include "models/nn/cached_attention.h"

namespace trireme {

/// A sequence whose keys and values are cached: rows of the cache in order, some of which may be those of the sequence
/// that it continues.
struct CachedSequence {
  std::vector<KvSpan> spans;
  int64_t length = 0;         ///< tokens
  int64_t next_position = 0;  ///< behind the largest on any axis: where the next text token stands
  int64_t room = 0;           ///< rows behind the last span that are kept for this sequence
};

/// Keys and values of every decoder layer for any number of sequences, which share the rows of what they have in
/// common. Plain storage: the functions below write it. Memory: 2 Hkv d values a row and layer.
struct KvCache {
  std::vector<KvLayer> layers;
  std::vector<CachedSequence> sequences;
  int64_t rows = 0;  ///< taken, of those allocated

  int64_t capacity() const { return layers.empty() ? 0 : layers.front().keys.size(0); }
};

/// Empty; room for `rows` tokens at once, and growing by itself where more come.
KvCache make_kv_cache(const Lmm& model, int64_t rows = 0);

/// Forgets all but the first `sequences` and gives back the rows that only the others used.
void truncate(KvCache& cache, int64_t sequences);

/// A sequence that continues none: a prompt.
inline constexpr int64_t kNoParent = -1;

struct ExtendOptions {
  /// [image_rows, D]: features of the batch's pictures, which then has no patches.
  torch::Tensor features;
  /// Rows kept behind each new sequence for advance_rows().
  int64_t room = 0;
};

/// Adds the batch's sequences to the cache, each as the continuation of a cached one, and returns [N, D] in the model's
/// dtype: hidden_rows() of the whole sequences, at batch.rows. A token sees its whole prefix and what stands before it.
/// Sequence b becomes cache.sequences[n + b]. batch.position_ids are those in the whole sequence; pictures may stand in
/// prefix or continuation. With parents all kNoParent it is the prefill.
/// parents  [B]: a cached sequence or kNoParent; any number may continue the same, whose keys are read, not copied.
/// Records no gradient. throws ShapeError: as check_batch(); parents that are not there, or not one per sequence.
/// cost   the decoder on the batch's tokens alone, attention over prefixes besides. With no rows asked for, the last
///        layer ends at its keys and values.
/// Tested: float32 rows have the bits of hidden_rows() on a CPU with AVX-512 and are within 1e-5 elsewhere; bfloat16
/// keys are rounded in the cache.
torch::Tensor extend_rows(const Lmm& model, KvCache& cache, const PackedBatch& batch, std::span<const int64_t> parents,
                          const ExtendOptions& options = {});

/// A further sequence that begins as `parent` does and goes on by itself; returns its index. room: rows kept for it.
int64_t fork(KvCache& cache, int64_t parent, int64_t room);

/// One text token more for each of the named sequences, in place, at its next position: a step of decoding. -> [S, D]
/// in the model's dtype, the new tokens' rows. Sequences that continue a named one keep their own, shorter view of it.
/// tokens [S] int64 on the model's device. throws ShapeError: sequences not there or named twice.
torch::Tensor advance_rows(const Lmm& model, KvCache& cache, std::span<const int64_t> sequences,
                           const torch::Tensor& tokens);

}  // namespace trireme
