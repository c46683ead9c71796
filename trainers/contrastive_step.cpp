#include "trainers/contrastive_step.h"

#include <ATen/ops/arange.h>

#include "losses/grad_cache.h"

namespace trireme {
namespace {

/// One of the batch's packs. `first_id`: dropout tells the step's sequences apart by number, queries first, then
/// targets, then hard negatives.
struct Side {
  const PackedBatch* batch;
  torch::Tensor sequence_ids;
  std::vector<SequenceRange> chunks;
  std::vector<torch::Tensor> features;  ///< of the frozen vision tower, by chunk, between GradCache's passes
};

torch::Tensor hard_negative_ids(const PairBatch& batch, int64_t pairs_global) {
  const int64_t per_query = batch.hard_negative_id.size(1);
  return (2 * pairs_global + batch.global_row.unsqueeze(1) * per_query + torch::arange(per_query, torch::kInt64))
      .flatten();
}

std::vector<Side> sides_of(const ContrastiveTask& task, const PairBatch& batch) {
  std::vector<Side> sides = {{&batch.query, batch.global_row, {}, {}},
                             {&batch.target, batch.global_row + task.pairs_global, {}, {}}};
  if (batch.hard_negative) {
    sides.push_back({&*batch.hard_negative, hard_negative_ids(batch, task.pairs_global), {}, {}});
  }
  return sides;
}

PairLabels labels_of(const PairBatch& batch) {
  return {.query_id = {},
          .candidate_id = batch.target_id,
          .hard_negative_id = batch.hard_negative_id,
          .concept_id = batch.concept_id,
          .hard_negative_concept = {},
          .known_offset = batch.positive_offset,
          .known_id = batch.positive_id};
}

PackedBatch on_device(PackedBatch batch, c10::Device device) {
  for (torch::Tensor* tensor : {&batch.tokens, &batch.position_ids, &batch.patches, &batch.image_rows, &batch.rows}) {
    if (tensor->defined()) *tensor = tensor->to(device, /*non_blocking=*/true);
  }
  return batch;
}

/// [rows of the range, D] in the model's dtype.
torch::Tensor embed_range(const ContrastiveTask& task, Side& side, SequenceRange range, int64_t step,
                          torch::Tensor features) {
  const PackedBatch piece = on_device(slice(*side.batch, range), task.model.device);
  return hidden_rows(task.model, piece,
                     {.features = std::move(features),
                      .dropout = DropoutContext{task.seed, step, side.sequence_ids.narrow(0, range.first, range.count)},
                      .recompute_blocks = task.step.recompute_blocks});
}

torch::Tensor embed_whole(const ContrastiveTask& task, Side& side, int64_t step) {
  return embed_range(task, side, {0, side.sequence_ids.size(0)}, step, {});
}

/// The chunk in the pass that grad_cache is in; what the tower sees does not change between the two.
torch::Tensor embed_chunk(const ContrastiveTask& task, Side& side, const GradCacheChunk& chunk, int64_t step) {
  const SequenceRange range = side.chunks[chunk.index];
  torch::Tensor& kept = side.features[chunk.index];
  if (task.vision_trains) return embed_range(task, side, range, step, {});
  if (chunk.pass == GradCachePass::kBackward) return embed_range(task, side, range, step, std::exchange(kept, {}));
  const PackedBatch piece = on_device(slice(*side.batch, range), task.model.device);
  if (piece.grid.defined() && piece.grid.size(0) > 0) kept = image_features(task.model, piece);
  return embed_range(task, side, range, step, kept);
}

}  // namespace

InfoNceResult contrastive_step(const ContrastiveTask& task, const PairBatch& batch, GradientReducer& reducer,
                               Communicator& communicator) {
  std::vector<Side> sides = sides_of(task, batch);
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
    ContrastiveRows rows{embed_whole(task, sides[0], batch.step), embed_whole(task, sides[1], batch.step), {}};
    if (batch.hard_negative) {
      const torch::Tensor hard = embed_whole(task, sides[2], batch.step);
      rows.hard_negative = hard.view({rows.query.size(0), -1, hard.size(1)});
    }
    result = loss(rows);
    overlap();
    result.loss.backward();
    result.loss = result.loss.detach();
  } else {
    GradCacheChunks chunks{0, 0, 0};
    for (Side& side : sides) {
      side.chunks = chunks_within(side.batch->cu_seqlens, task.step.chunk_tokens);
      side.features.resize(side.chunks.size());
    }
    chunks.query = std::ssize(sides[0].chunks);
    chunks.candidate = std::ssize(sides[1].chunks);
    if (batch.hard_negative) chunks.hard_negative = std::ssize(sides[2].chunks);
    const auto embed = [&](const GradCacheChunk& chunk) {
      return embed_chunk(task, sides[static_cast<std::size_t>(chunk.side)], chunk, batch.step);
    };
    result = grad_cache(chunks, {embed, loss, overlap}, {});
  }
  reducer.finish_step();
  return result;
}

}  // namespace trireme
