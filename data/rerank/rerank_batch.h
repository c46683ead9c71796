#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "data/loader/packer.h"
#include "data/loader/pair_batch.h"
#include "data/rerank/rerank_encoder.h"

namespace trireme {

/// S answered prompts. Everything is on the CPU.
struct RerankSequences {
  PackedBatch packed;         ///< rows: the N positions whose next token is trained on, sequence by sequence
  torch::Tensor sequence_id;  ///< [S] int64: number in the step's global batch, 3 * the query's + 0 (Yes), 1 (No), 2
  torch::Tensor label;        ///< [N] int64: the token after each row: <|im_start|>assistant\n, the answer, its end
  torch::Tensor listwise;     ///< [N] bool: of a list
  torch::Tensor label_begin;  ///< [S+1] int64: sequence s has the labels [label_begin[s], label_begin[s+1])
  torch::Tensor decision;     ///< [S] int64: which label decides: Yes, No or a number
  /// [S, RerankAnswers::kMaxListLength] int64: the tokens that could stand there, the right one filling up the row.
  torch::Tensor options;
  /// [image tokens of packed] int64: which row of the encoded RerankBatch::images each takes; undefined where packed
  /// has its own patches.
  torch::Tensor feature_rows;
};

/// One rank's share of one step's global batch: three sequences a query, in ascending order of their numbers.
struct RerankBatch : StepBatch {
  RerankSequences sequences;
  PackedImages images;  ///< shared: each image of a query once; without: empty, the sequences have their own
};

/// images: those that are encoded.
PairBatchCounts counts_of(const RerankBatch& batch);

/// queries  their samples, in the order of global_rows.      share_images  whether images are packed apart, once.
RerankBatch pack_rerank(std::span<const EncodedRerank> queries, std::span<const int64_t> global_rows,
                        const PackOptions& options, bool share_images);

/// Those sequences as a batch of their own, without copying tokens or patches.
RerankSequences slice(const RerankSequences& sequences, SequenceRange range);

}  // namespace trireme
