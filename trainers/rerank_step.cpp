#include "trainers/rerank_step.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "core/config/field_list.h"
#include "models/batch_device.h"

namespace trireme {

void RerankStepConfig::describe(FieldList& v) {
  v.field("micro_batch_tokens", micro_batch_tokens,
          "Tokens that go forward and back at a time, at most (one sequence at least); gradients add up.")
      .at_least(1);
  v.field("recompute_blocks", recompute_blocks, "Keep each decoder block's input only, and run it again backwards.");
  v.field("overlap_reduction", overlap_reduction, "Sum gradients over the ranks while the backward pass goes on.")
      .no_effect_on_values();
}
static_assert(field_count<RerankStepConfig>() == 3, "describe() must list every field");
namespace {

/// [rows of all pictures, D]: what the frozen tower makes of the batch's shared pictures, a few at a time; undefined
/// where there is none.
torch::Tensor shared_features(const RerankTask& task, const PackedImages& images) {
  if (!images.grid.defined() || images.grid.size(0) == 0) return {};
  const torch::NoGradGuard no_gradient;
  const VisionConfig& vision = task.model.config.vision.value();
  const int64_t most_patches = task.step.micro_batch_tokens * vision.merge_size * vision.merge_size;
  const auto grid = images.grid.accessor<int64_t, 2>();
  const auto patches_of = [&](int64_t image) { return grid[image][0] * grid[image][1] * grid[image][2]; };
  std::vector<torch::Tensor> features;
  for (int64_t image = 0, first_patch = 0; image < images.grid.size(0);) {
    int64_t end = image, patches = 0;
    while (end < images.grid.size(0) && (end == image || patches + patches_of(end) <= most_patches))
      patches += patches_of(end++);
    features.push_back(encode_images(*task.model.vision, vision,
                                     images.patches.narrow(0, first_patch, patches).to(task.model.device),
                                     images.grid.narrow(0, image, end - image)));
    first_patch += patches;
    image = end;
  }
  return at::cat(features);
}

/// The sequences' rows of the features; undefined where they have no picture or their own patches.
torch::Tensor features_of(const RerankSequences& sequences, const torch::Tensor& features) {
  if (!sequences.feature_rows.defined() || sequences.feature_rows.numel() == 0) return {};
  return features.index_select(0, sequences.feature_rows.to(features.device()));
}

void add(torch::Tensor& sum, const torch::Tensor& value) { sum = sum.defined() ? sum + value : value; }

/// Counts the decisions that are right: where every other option is scored below the label. In bfloat16 scores that are
/// nearly equal are equal, and no decision.
void add_decisions(RerankStepResult& result, const RerankSequences& sequences, const torch::Tensor& logits) {
  const c10::Device device = logits.device();
  const torch::Tensor decision = sequences.decision.to(device), options = sequences.options.to(device);
  const torch::Tensor scores = logits.detach().index_select(0, decision);
  const torch::Tensor label = sequences.label.to(device).index_select(0, decision).unsqueeze(1);
  const torch::Tensor others = scores.gather(1, options).masked_fill(options.eq(label), -INFINITY).amax(1);
  const torch::Tensor is_right = scores.gather(1, label).squeeze(1).gt(others);
  const torch::Tensor is_list = sequences.listwise.to(device).index_select(0, decision);
  const torch::Tensor is_pair = is_list.logical_not();
  add(result.pointwise_right, is_right.logical_and(is_pair).sum());
  add(result.pointwise_all, is_pair.sum());
  add(result.listwise_right, is_right.logical_and(is_list).sum());
  add(result.listwise_all, is_list.sum());
}

}  // namespace

RerankStepResult rerank_step(const RerankTask& task, const RerankBatch& batch, GradientReducer& reducer,
                             Communicator& communicator) {
  const c10::Device device = task.model.device;
  const AnswerCounts counts = count_answers(batch.sequences.listwise.to(device), communicator);
  const torch::Tensor features = shared_features(task, batch.images);
  const auto ranges = chunks_within(batch.sequences.packed.cu_seqlens, task.step.micro_batch_tokens);
  RerankStepResult result;
  reducer.start_step();
  for (const SequenceRange& range : ranges) {
    const RerankSequences piece = slice(batch.sequences, range);
    const torch::Tensor logits = logits_rows(task.model, on_device(piece.packed, device),
                                             {.features = features_of(piece, features),
                                              .dropout = DropoutContext{task.seed, batch.step, piece.sequence_id},
                                              .recompute_blocks = task.step.recompute_blocks});
    const RerankLossResult loss =
        rerank_loss({logits, piece.label.to(device), piece.listwise.to(device)}, task.loss, counts);
    if (&range == &ranges.back() && task.step.overlap_reduction) reducer.overlap_next_backward();
    loss.loss.backward();
    add(result.loss.loss, loss.loss.detach());
    add(result.loss.pointwise, loss.pointwise);
    add(result.loss.listwise, loss.listwise);
    add_decisions(result, piece, logits);
  }
  reducer.finish_step();
  return result;
}

}  // namespace trireme
