#include "trainers/contrastive_step.h"

#include <algorithm>
#include <array>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/split_with_sizes.h>
#include <ATen/ops/zeros.h>

#include "core/config/field_list.h"
#include "losses/grad_cache.h"
#include "models/batch_device.h"

namespace trireme {

void StepConfig::describe(FieldList& v) {
  v.field("method", method, "plain holds the activations of all of a rank's pairs; grad_cache those of one chunk.");
  v.field("chunk_tokens", chunk_tokens, "grad_cache: tokens of a chunk, at most (one sequence at least).").at_least(1);
  v.field("recompute_blocks", recompute_blocks, "Keep each decoder block's input only, and run it again backwards.");
  v.field("overlap_reduction", overlap_reduction, "Sum gradients over the ranks while the backward pass goes on.")
      .no_effect_on_values();
}
static_assert(field_count<StepConfig>() == 4, "describe() must list every field");
namespace {

/// The queries, the targets or the hard negatives, for GradCache.
struct Side {
  SequenceRange range;                  ///< of the batch's sequences
  std::vector<SequenceRange> chunks;    ///< of them, too
  std::vector<torch::Tensor> features;  ///< of the frozen vision tower, by chunk, between GradCache's passes
};

/// [2 B + B H]: dropout tells the step's sequences apart by number: queries first, then targets, then hard negatives,
/// of all ranks.
torch::Tensor sequence_ids(const PairBatch& batch, int64_t pairs_global) {
  const int64_t per_query = batch.hard_negative_id.size(1);
  const torch::Tensor first_negatives = 2 * pairs_global + batch.global_row.unsqueeze(1) * per_query;
  return at::cat({batch.global_row, batch.global_row + pairs_global,
                  (first_negatives + at::arange(per_query, torch::kInt64)).flatten()});
}

Side side_of(const PairBatch& batch, SequenceRange range, int64_t chunk_tokens) {
  if (range.count == 0) return {range, {}, {}};
  Side side{range, chunks_within(batch.sequences.cu_seqlens.narrow(0, range.first, range.count + 1), chunk_tokens), {}};
  for (SequenceRange& chunk : side.chunks) chunk.first += range.first;
  side.features.resize(side.chunks.size());
  return side;
}

PairLabels labels_of(const PairBatch& batch) {
  return {.query_id = {},
          .candidate_id = batch.target_id,
          .hard_negative_id = batch.hard_negative_id,
          .concept_id = batch.concept_id,
          .hard_negative_concept = batch.hard_negative_concept,
          .known_offset = batch.positive_offset,
          .known_id = batch.positive_id};
}

/// Sequences, and the number of each in the step.
struct NumberedSequences {
  PackedBatch batch;
  torch::Tensor ids;
};

/// With one-token sequences behind, none of them asked for, up to a multiple of kTokens tokens. oneDNN compiles its
/// products for each number of rows apart, which takes longer than a small model's product itself; so they are met
/// again. What is behind has a gradient of zero.
NumberedSequences filled_up(NumberedSequences sequences, int64_t unused_id, int64_t image_token_id) {
  constexpr int64_t kTokens = 16;
  PackedBatch& batch = sequences.batch;
  const int64_t tokens = batch.tokens.size(0), extra = (kTokens - tokens % kTokens) % kTokens;
  if (extra == 0) return sequences;
  const auto append = [](torch::Tensor& to, const torch::Tensor& values) { to = at::cat({to, values}, -1); };
  append(batch.tokens, at::full({extra}, image_token_id == 0 ? 1 : 0, torch::kInt64));
  append(batch.position_ids, at::zeros({3, extra}, torch::kInt64));
  append(batch.cu_seqlens, at::arange(tokens + 1, tokens + extra + 1, torch::kInt64));
  append(sequences.ids, at::arange(unused_id, unused_id + extra, torch::kInt64));
  return sequences;
}

/// What one step embeds, by ranges of its sequences.
class StepSequences {
 public:
  StepSequences(const ContrastiveTask& task, const PairBatch& batch)
      : task_(task), batch_(batch), ids_(sequence_ids(batch, task.pairs_global)) {}

  /// [rows of the range, D] in the model's dtype.
  torch::Tensor embed(SequenceRange range, torch::Tensor features) const {
    NumberedSequences sequences{piece(range), ids_.narrow(0, range.first, range.count)};
    if (task_.model.device.is_cpu()) {
      sequences = filled_up(std::move(sequences), first_unused_id(), task_.model.config.image_token_id);
    }
    return hidden_rows(task_.model, on_device(std::move(sequences.batch), task_.model.device),
                       {.features = std::move(features),
                        .dropout = DropoutContext{task_.seed, batch_.step, std::move(sequences.ids)},
                        .recompute_blocks = task_.step.recompute_blocks});
  }

  /// All of them in one pass. A row does not depend on the rows around it, and few large products take less than many
  /// small ones.
  ContrastiveRows embed_all() const {
    const torch::Tensor rows = embed({0, ids_.size(0)}, {});
    const int64_t negatives = batch_.hard_negatives().count;
    const auto sides = at::split_with_sizes(rows, {batch_.pairs(), batch_.pairs(), negatives});
    if (negatives == 0) return {sides[0], sides[1], {}};
    return {sides[0], sides[1], sides[2].view({batch_.pairs(), -1, rows.size(1)})};
  }

  /// A chunk in the pass that grad_cache is in; what the tower sees does not change between the two.
  torch::Tensor embed_chunk(Side& side, const GradCacheChunk& chunk) const {
    const SequenceRange range = side.chunks[chunk.index];
    torch::Tensor& kept = side.features[chunk.index];
    if (task_.vision_trains || chunk.pass == GradCachePass::kOnly) return embed(range, {});
    if (chunk.pass == GradCachePass::kBackward) return embed(range, std::exchange(kept, {}));
    const PackedBatch sequences = on_device(piece(range), task_.model.device);
    if (sequences.grid.defined() && sequences.grid.size(0) > 0) kept = image_features(task_.model, sequences);
    return embed(range, kept);
  }

 private:
  PackedBatch piece(SequenceRange range) const {
    return range.count == ids_.size(0) ? batch_.sequences : slice(batch_.sequences, range);
  }
  int64_t first_unused_id() const { return task_.pairs_global * (2 + batch_.hard_negative_id.size(1)); }

  const ContrastiveTask& task_;
  const PairBatch& batch_;
  torch::Tensor ids_;
};

}  // namespace

InfoNceResult contrastive_step(const ContrastiveTask& task, const PairBatch& batch, GradientReducer& reducer,
                               Communicator& communicator) {
  const StepSequences sequences(task, batch);
  const PairLabels labels = labels_of(batch);
  const auto loss = [&](const ContrastiveRows& rows) {
    return info_nce(rows, labels, task.loss, communicator, task.log_inverse_temperature);
  };
  const auto overlap = [&] {
    if (task.step.overlap_reduction) reducer.overlap_next_backward();
  };
  reducer.start_step();
  InfoNceResult result;
  if (task.step.method == GradientMethod::kPlain) {
    result = loss(sequences.embed_all());
    overlap();
    result.loss.backward();
    result.loss = result.loss.detach();
  } else {
    std::array<Side, 3> sides;
    const std::array ranges = {batch.queries(), batch.targets(), batch.hard_negatives()};
    std::ranges::transform(ranges, sides.begin(),
                           [&](SequenceRange range) { return side_of(batch, range, task.step.chunk_tokens); });
    const auto chunks = [&](ContrastiveSide side) { return std::ssize(sides[static_cast<std::size_t>(side)].chunks); };
    const auto embed = [&](const GradCacheChunk& chunk) {
      return sequences.embed_chunk(sides[static_cast<std::size_t>(chunk.side)], chunk);
    };
    result = grad_cache({.query = chunks(ContrastiveSide::kQuery),
                         .candidate = chunks(ContrastiveSide::kCandidate),
                         .hard_negative = chunks(ContrastiveSide::kHardNegative)},
                        {embed, loss, overlap}, {});
  }
  reducer.finish_step();
  return result;
}

}  // namespace trireme
