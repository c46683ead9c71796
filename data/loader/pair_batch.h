#pragma once

#include <cstdint>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "data/loader/step_sampler.h"

namespace trireme {

/// Sequences [first, first + count) of a batch.
struct SequenceRange {
  int64_t first = 0, count = 0;
};

/// One rank's share of one step's global batch: B = pairs_global / ranks pairs, and H hard negatives of each query.
/// Row b of every tensor is pair b; rows are in ascending order of their number in the global batch. Everything is on
/// the CPU.
struct PairBatch : StepBatch {
  /// The B queries, then the target of each, then B * H hard negatives, those of query b at b * H .. (b + 1) * H - 1:
  /// one pack, so that a model may take them in one pass.
  PackedBatch sequences;

  int64_t pairs() const { return global_row.size(0); }
  SequenceRange queries() const { return {0, pairs()}; }
  SequenceRange targets() const { return {pairs(), pairs()}; }
  SequenceRange hard_negatives() const { return {2 * pairs(), hard_negative_id.numel()}; }

  torch::Tensor global_row;  ///< [B] int64: number in the global batch, 0 .. pairs_global - 1
  /// [B] int64: which document the target is. Equal ids are the same document, in all ranks, steps and runs.
  torch::Tensor target_id;
  /// [B] int64: what the pair is about: the record's "concept" field, or the target's id where it has none. Two pairs
  /// of one concept are no negatives of each other where the recipe masks them.
  torch::Tensor concept_id;
  /// [B + 1] and [K] int64: ids of all documents known to answer query b, its target included, at
  /// positive_id[positive_offset[b] .. positive_offset[b + 1]). To be compared with the gathered target_id.
  torch::Tensor positive_offset, positive_id;
  torch::Tensor hard_negative_id;       ///< [B, H] int64; H = 0 when there are none
  torch::Tensor hard_negative_concept;  ///< [B, H] int64: what each is about, to be compared with concept_id
};

/// What a rank's share amounts to, queries, targets and hard negatives together: the measure of its work and memory.
struct PairBatchCounts {
  int64_t sequences = 0, tokens = 0, images = 0, patches = 0;
};
PairBatchCounts counts_of(const PairBatch& batch);

/// Cuts B sequences into `chunks` runs of consecutive ones so that the longest run, in tokens, is as short as can be:
/// micro-batches for GradCache. Fewer runs when B < chunks. The same rows in the same order.
/// cu_seqlens  [B + 1] int64, CPU, from any offset on.      chunks  at least 1.
std::vector<SequenceRange> balanced_chunks(const torch::Tensor& cu_seqlens, int64_t chunks);
/// The same with the least number of chunks that keeps each within `tokens`; a longer sequence stands alone.
std::vector<SequenceRange> chunks_within(const torch::Tensor& cu_seqlens, int64_t tokens);

/// Those sequences as a batch of their own: views of the tokens, positions and patches, offsets counted from 0.
/// A batch without patches keeps its image_rows.
/// cost: O(sequences and images before and in the range), no copy of tokens or patches.
PackedBatch slice(const PackedBatch& batch, SequenceRange range);

}  // namespace trireme
