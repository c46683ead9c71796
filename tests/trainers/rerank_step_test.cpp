#include "trainers/rerank_step.h"

#include <map>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "models/lora.h"
#include "models/random_init.h"
#include "models/trainable.h"
#include "tests/support/rerank_set.h"
#include "trainers/run_state.h"
#include "trainers/trained_lmm.h"

namespace trireme {
namespace {

using test::RerankSet;

constexpr int64_t kConcepts = 10, kQueries = 4, kStep = 2;

/// A model in float64 whose vocabulary is that of the set's tokenizer, and LoRA that is not at its beginning.
Lmm small_model(const Tokenizer& tokenizer) {
  ModelConfig config = read_model_config(TRIREME_TEST_DIR "/golden/embed/model");
  config.decoder.vocab_size = tokenizer.vocab_size() + 7;
  config.image_token_id = tokenizer.token_to_id("<|image_pad|>").value();
  config.video_token_id = tokenizer.token_to_id("<|video_pad|>").value();
  config.vision_start_token_id = tokenizer.token_to_id("<|vision_start|>").value();
  config.vision_end_token_id = tokenizer.token_to_id("<|vision_end|>").value();
  RandomInit init;
  init.seed = 3;
  init.embedding_std = 0.3;
  Lmm model = random_model(config, init, {.dtype = torch::kFloat64, .head = true});
  LoraConfig lora;
  lora.rank = 4;
  lora.alpha = 8;
  lora.dropout = 0.25;
  attach_lora(model, lora, 1);
  for (const LinearModule& module : linear_layers(model)) {
    for (LoraTerm& term : module.layer->lora) term.b.normal_(0, 0.1, at::detail::createCPUGenerator(5));
  }
  set_trainable(model, {TrainableParts::kLora, {}});
  return model;
}

struct Outcome {
  double loss = 0, pointwise = 0, listwise = 0;
  std::map<std::string, double> counts;
  std::map<std::string, torch::Tensor> gradients;
};

struct Setting {
  RerankStepConfig step;
  RerankLossConfig loss;
  bool share_images = true;
};

/// Step kStep of the set on `ranks` ranks.
Outcome run(int64_t ranks, const Setting& setting) {
  Outcome out;
  std::mutex mutex;
  run_ranks(ranks, [&](Communicator& communicator) {
    RerankSet set(kConcepts, kQueries);
    set.samples.share_images = setting.share_images;
    Lmm model = small_model(set.tokenizer());
    const NamedTensors leaves = trained_leaves(model);
    GradientReducer reducer(values_of(leaves), communicator);
    const RerankBatch batch = set.load(1, {communicator.rank(), communicator.size()}, kStep)[0];
    const RerankTask task{.model = model, .step = setting.step, .loss = setting.loss, .seed = 9};
    const RerankStepResult result = rerank_step(task, batch, reducer, communicator);
    torch::Tensor sums = at::stack({result.loss.loss, result.loss.pointwise, result.loss.listwise,
                                    result.pointwise_right.to(at::kDouble), result.pointwise_all.to(at::kDouble),
                                    result.listwise_right.to(at::kDouble), result.listwise_all.to(at::kDouble)});
    communicator.all_reduce(sums, ReduceOp::kSum).wait();
    if (communicator.rank() != 0) return;
    const std::lock_guard lock(mutex);
    const auto* sum = sums.const_data_ptr<double>();
    out.loss = sum[0], out.pointwise = sum[1], out.listwise = sum[2];
    out.counts = {{"pointwise_right", sum[3]}, {"pointwise", sum[4]}, {"listwise_right", sum[5]}, {"listwise", sum[6]}};
    for (const auto& [name, leaf] : leaves) out.gradients[name] = leaf.grad().clone();
  });
  return out;
}

void expect_same_gradients(const std::map<std::string, torch::Tensor>& a, const std::map<std::string, torch::Tensor>& b,
                           double relative) {
  ASSERT_EQ(a.size(), b.size());
  double largest = 0, difference = 0;
  for (const auto& [name, gradient] : a) {
    largest = std::max(largest, b.at(name).abs().max().item<double>());
    difference = std::max(difference, (gradient - b.at(name)).abs().max().item<double>());
  }
  EXPECT_GT(largest, 1e-6) << "a test of zeros proves nothing";
  EXPECT_LT(difference / largest, relative);
}

void expect_same(const Outcome& a, const Outcome& b, double relative) {
  EXPECT_NEAR(a.loss / b.loss, 1, relative);
  EXPECT_NEAR(a.pointwise / b.pointwise, 1, relative);
  EXPECT_NEAR(a.listwise / b.listwise, 1, relative);
  EXPECT_EQ(a.counts, b.counts);
  expect_same_gradients(a.gradients, b.gradients, relative);
}

const std::vector<RerankLossConfig> kLosses = {
    {}, {.weighting = RerankWeighting::kTasks, .token_mean = TokenMean::kGlobal, .listwise_weight = 0.5}};

TEST(RerankStep, RanksTogetherHaveLossAndGradientOfOneWithDropoutOn) {
  for (const RerankLossConfig& loss : kLosses) {
    const Setting setting{.step = {}, .loss = loss};
    const Outcome one = run(1, setting);
    EXPECT_EQ(one.counts.at("pointwise"), 2 * kQueries);
    EXPECT_EQ(one.counts.at("listwise"), kQueries);
    for (const int64_t ranks : {2, 4}) expect_same(run(ranks, setting), one, 1e-9);
  }
}

TEST(RerankStep, MicroBatchesAddUpToTheWhole) {
  for (const RerankLossConfig& loss : kLosses) {
    const Outcome whole = run(1, {.step = {.micro_batch_tokens = 1 << 20}, .loss = loss});
    for (const int64_t tokens : {1, 700})
      expect_same(run(1, {.step = {.micro_batch_tokens = tokens}, .loss = loss}), whole, 1e-9);
    // Two ranks with other numbers of micro-batches.
    expect_same(run(2, {.step = {.micro_batch_tokens = 900}, .loss = loss}), whole, 1e-9);
  }
}

TEST(RerankStep, SharedPicturesChangeNothing) {
  const Outcome own = run(1, {.step = {}, .loss = {}, .share_images = false});
  expect_same(run(1, {.step = {}, .loss = {}, .share_images = true}), own, 1e-9);
  expect_same(run(2, {.step = {.micro_batch_tokens = 500}, .loss = {}, .share_images = true}), own, 1e-9);
}

TEST(RerankStep, RecomputedBlocksChangeNothing) {
  expect_same(run(1, {.step = {.recompute_blocks = true}, .loss = {}}), run(1, {.step = {}, .loss = {}}), 1e-9);
}

/// The sequence's causal loss as it is usually written: scores of every row, labels shifted by one, those before the
/// third <|im_start|> left out. Sums of nats, and how many.
std::pair<torch::Tensor, int64_t> causal_loss(const Lmm& model, PackedBatch sequence, int64_t start_token) {
  const int64_t length = sequence.tokens.size(0);
  sequence.rows = at::arange(length, at::kLong);
  const torch::Tensor starts = sequence.tokens.eq(start_token).nonzero().squeeze(1);
  const int64_t first_label = starts[2].item<int64_t>();
  torch::Tensor labels = sequence.tokens.clone();
  labels.narrow(0, 0, first_label).fill_(-100);
  const torch::Tensor logits = logits_rows(model, sequence);
  const torch::Tensor sum = at::cross_entropy_loss(logits.narrow(0, 0, length - 1), labels.narrow(0, 1, length - 1), {},
                                                   at::Reduction::Sum, /*ignore_index=*/-100);
  return {sum, length - first_label};
}

TEST(RerankStep, IsTheCausalLossOverTheAnswersTurns) {
  RerankSet set(kConcepts, kQueries);
  set.samples.share_images = false;
  Lmm model = small_model(set.tokenizer());
  set_lora_dropout(model, 0);
  const NamedTensors leaves = trained_leaves(model);
  const RerankBatch batch = set.load(1, {}, kStep)[0];
  torch::Tensor sum = at::zeros({}, at::kDouble);
  int64_t labels = 0;
  for (int64_t i = 0; i < batch.sequences.sequence_id.size(0); ++i) {
    const auto [nats, count] =
        causal_loss(model, slice(batch.sequences, {i, 1}).packed, set.tokenizer().token_to_id("<|im_start|>").value());
    sum = sum + nats;
    labels += count;
  }
  const torch::Tensor wanted = sum / labels;
  wanted.backward();
  std::map<std::string, torch::Tensor> gradients;
  for (const auto& [name, leaf] : leaves) {
    gradients[name] = leaf.grad().clone();
    torch::Tensor(leaf).mutable_grad() = torch::Tensor();
  }
  SelfCommunicator self;
  GradientReducer reducer(values_of(leaves), self);
  const RerankStepResult result = rerank_step({model, {}, {}, 9}, batch, reducer, self);
  EXPECT_EQ(batch.sequences.label.size(0), labels);
  EXPECT_NEAR(result.loss.loss.item<double>(), wanted.item<double>(), 1e-9);
  std::map<std::string, torch::Tensor> ours;
  for (const auto& [name, leaf] : leaves) ours[name] = leaf.grad();
  expect_same_gradients(ours, gradients, 1e-9);
}

TEST(RerankStep, CountsDecisionsThatAreRight) {
  RerankSet set(kConcepts, kQueries);
  set.samples.share_images = false;
  Lmm model = small_model(set.tokenizer());
  set_lora_dropout(model, 0);
  const RerankBatch batch = set.load(1, {}, kStep)[0];
  int64_t pairs_right = 0, lists_right = 0;
  for (int64_t i = 0; i < batch.sequences.sequence_id.size(0); ++i) {
    const torch::NoGradGuard no_gradient;
    const RerankSequences one = slice(batch.sequences, {i, 1});
    const torch::Tensor scores = logits_rows(model, one.packed)[one.decision[0].item<int64_t>()];
    const bool list = one.listwise[0].item<bool>();
    const torch::Tensor options = one.options[0];
    const torch::Tensor best = options[scores.index_select(0, options).argmax()];
    const bool right = best.item<int64_t>() == one.label[one.decision[0]].item<int64_t>();
    (list ? lists_right : pairs_right) += right;
    const std::string word = list ? "1" : "Yes";
    EXPECT_EQ(options[0].item<int64_t>(), set.tokenizer().token_to_id(word).value());
  }
  SelfCommunicator self;
  GradientReducer reducer(values_of(trained_leaves(model)), self);
  const RerankStepResult result = rerank_step({model, {}, {}, 9}, batch, reducer, self);
  EXPECT_EQ(result.pointwise_right.item<int64_t>(), pairs_right);
  EXPECT_EQ(result.listwise_right.item<int64_t>(), lists_right);
  EXPECT_EQ(result.pointwise_all.item<int64_t>(), 2 * kQueries);
  EXPECT_EQ(result.listwise_all.item<int64_t>(), kQueries);

  model.head.weight = at::zeros_like(model.head.weight);
  const RerankStepResult ties = rerank_step({model, {}, {}, 9}, batch, reducer, self);
  EXPECT_EQ(ties.pointwise_right.item<int64_t>() + ties.listwise_right.item<int64_t>(), 0) << "a tie is no decision";
}

}  // namespace
}  // namespace trireme
