#include "trainers/contrastive_step.h"

#include <map>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "models/lora.h"
#include "models/trainable.h"
#include "tests/models/golden_cases.h"
#include "trainers/run_state.h"

namespace trireme {
namespace {

using test::golden_cases;
using test::GoldenCase;
using test::load_golden_model;
using test::packed;

constexpr const char* kCheckpoint = "qwen2_vl_hub";
constexpr int64_t kPairs = 8;
constexpr int64_t kHard = 2;

enum class HardNegatives { kNone, kTwo };

/// Appends cases in a circle of a global batch, `each` of one pair: those of pairs [first, first + count), the circle
/// beginning at `begin`. Some have pictures, some have none.
void append(std::vector<GoldenCase>& chosen, const std::vector<GoldenCase>& cases, int64_t begin, SequenceRange pairs,
            int64_t each) {
  for (int64_t i = pairs.first * each; i < (pairs.first + pairs.count) * each; ++i) {
    chosen.push_back(cases[(begin + i) % std::ssize(cases)]);
  }
}

/// Those pairs of one global batch of kPairs.
PairBatch share(const ModelConfig& config, SequenceRange pairs, HardNegatives hard) {
  const std::vector<GoldenCase> cases = golden_cases(kCheckpoint);
  PairBatch batch;
  batch.step = 3;
  batch.global_row = at::arange(pairs.first, pairs.first + pairs.count, torch::kInt64);
  batch.target_id = batch.global_row % 6;  // pairs 6 and 7 repeat the targets of 0 and 1
  batch.concept_id = batch.target_id.clone();
  batch.positive_offset = at::arange(0, pairs.count + 1, torch::kInt64);
  batch.positive_id = batch.target_id.clone();
  batch.hard_negative_id = at::empty({pairs.count, 0}, torch::kInt64);
  batch.hard_negative_concept = batch.hard_negative_id;
  std::vector<GoldenCase> chosen;
  append(chosen, cases, 0, pairs, 1);
  append(chosen, cases, 2, pairs, 1);
  if (hard == HardNegatives::kTwo) {
    append(chosen, cases, 1, pairs, kHard);
    batch.hard_negative_id = (batch.global_row.unsqueeze(1) * kHard + at::arange(kHard)) + 100;
    // Those of pair b are about b, which is what pair b, and for 0 and 1 another pair too, is about.
    batch.hard_negative_concept = batch.global_row.unsqueeze(1).repeat({1, kHard});
  }
  batch.sequences = packed(chosen, config);
  return batch;
}

struct Outcome {
  double loss = 0;
  double excluded = 0;  ///< columns a query, mean
  std::map<std::string, torch::Tensor> gradients;
};

struct Setting {
  StepConfig step;
  HardNegatives hard = HardNegatives::kNone;
  TrainableParts parts = TrainableParts::kLora;
  PairRelation exclude = PairRelation::kSameCandidate;
};

/// The loss and every trainable tensor's gradient, in float64, on `ranks` ranks.
Outcome run(int64_t ranks, const Setting& setting) {
  Outcome out;
  std::mutex mutex;
  run_ranks(ranks, [&](Communicator& communicator) {
    Lmm model = load_golden_model(kCheckpoint, torch::kFloat64);
    LoraConfig lora;
    lora.rank = 4;
    lora.alpha = 8;
    lora.dropout = 0.25;
    if (setting.parts == TrainableParts::kLora) attach_lora(model, lora, 1);
    for (const LinearModule& module : linear_layers(model)) {
      for (LoraTerm& term : module.layer->lora) term.b.normal_(0, 0.02, at::detail::createCPUGenerator(5));
    }
    set_trainable(model, {setting.parts, {}});
    NamedTensors leaves;
    for (const TrainableTensor& trainable : trainable_tensors(model)) {
      leaves.emplace_back(trainable.name, trainable.tensor);
    }
    GradientReducer reducer(values_of(leaves), communicator);
    InfoNceConfig loss;
    loss.exclude = {setting.exclude};
    const ContrastiveTask task{.model = model,
                               .step = setting.step,
                               .loss = loss,
                               .pairs_global = kPairs,
                               .seed = 9,
                               .vision_trains = setting.parts == TrainableParts::kAll,
                               .log_inverse_temperature = {}};
    const int64_t each = kPairs / communicator.size();
    const PairBatch batch = share(model.config, {each * communicator.rank(), each}, setting.hard);
    const InfoNceResult result = contrastive_step(task, batch, reducer, communicator);
    torch::Tensor total = at::stack({result.loss, result.metrics.excluded.to(result.loss.dtype())});
    communicator.all_reduce(total, ReduceOp::kSum).wait();
    if (communicator.rank() != 0) return;
    const std::lock_guard lock(mutex);
    out.loss = total[0].item<double>();
    out.excluded = total[1].item<double>();
    for (const auto& [name, leaf] : leaves) out.gradients[name] = leaf.grad().clone();
  });
  return out;
}

void expect_equal(const Outcome& a, const Outcome& b, double relative) {
  EXPECT_NEAR(a.loss / b.loss, 1, relative);
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  double norm = 0, difference = 0;
  for (const auto& [name, gradient] : a.gradients) {
    norm = std::max(norm, b.gradients.at(name).abs().max().item<double>());
    difference = std::max(difference, (gradient - b.gradients.at(name)).abs().max().item<double>());
  }
  EXPECT_GT(norm, 1e-6) << "a test of zeros proves nothing";
  EXPECT_LT(difference / norm, relative);
}

StepConfig grad_cache(int64_t chunk_tokens) {
  return {.method = GradientMethod::kGradCache, .chunk_tokens = chunk_tokens};
}

TEST(ContrastiveStep, GradCacheIsThePlainGradientWithDropoutOn) {
  for (const HardNegatives hard : {HardNegatives::kNone, HardNegatives::kTwo}) {
    const Outcome plain = run(1, {.step = {}, .hard = hard});
    expect_equal(run(1, {.step = grad_cache(1), .hard = hard}), plain, 1e-9);
    expect_equal(run(1, {.step = grad_cache(100), .hard = hard}), plain, 1e-9);
  }
}

TEST(ContrastiveStep, RanksTogetherHaveTheGradientOfOne) {
  const Setting plain{.step = {}, .hard = HardNegatives::kTwo};
  const Setting cached{.step = grad_cache(60), .hard = HardNegatives::kTwo};
  const Outcome one = run(1, plain);
  for (const int64_t ranks : {2, 4}) {
    expect_equal(run(ranks, plain), one, 1e-9);
    expect_equal(run(ranks, cached), one, 1e-9);
  }
}

TEST(ContrastiveStep, HardNegativesOfAQuerysConceptAreExcluded) {
  const Setting masked{.step = {}, .hard = HardNegatives::kTwo, .exclude = PairRelation::kSameConcept};
  const Outcome one = run(1, masked);
  // Of 8 queries, each has the two hard negatives that are about its concept, and four have a target that is.
  EXPECT_NEAR(one.excluded, 2.5, 1e-6);
  EXPECT_NEAR(run(1, {.step = {}, .hard = HardNegatives::kTwo}).excluded, 0.5, 1e-6) << "the targets alone";
  expect_equal(run(2, masked), one, 1e-9);
  expect_equal(run(2, {.step = grad_cache(60), .hard = HardNegatives::kTwo, .exclude = PairRelation::kSameConcept}),
               one, 1e-9);
}

TEST(ContrastiveStep, RecomputedBlocksChangeNothing) {
  expect_equal(run(2, {.step = {.recompute_blocks = true}}), run(2, {}), 1e-12);
}

TEST(ContrastiveStep, ReductionWithoutOverlapChangesNothing) {
  expect_equal(run(2, {.step = {.overlap_reduction = false}}), run(2, {}), 1e-12);
}

TEST(ContrastiveStep, AVisionTowerThatTrainsIsNotTakenFromTheFirstPass) {
  const Setting plain{.step = {}, .hard = HardNegatives::kNone, .parts = TrainableParts::kAll};
  const Setting cached{.step = grad_cache(1), .hard = HardNegatives::kNone, .parts = TrainableParts::kAll};
  const Outcome one = run(1, plain);
  EXPECT_GT(one.gradients.at("visual.patch_embed.proj.weight").abs().max().item<double>(), 0);
  expect_equal(run(1, cached), one, 1e-9);
  expect_equal(run(2, cached), one, 1e-9);
}

}  // namespace
}  // namespace trireme
