#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>

#include "models/lora.h"
#include "models/trainable.h"
#include "tests/models/golden_cases.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::golden_cases;
using test::largest_difference;
using test::load_golden_model;
using test::message_of;
using test::packed;
using ::testing::HasSubstr;

const TrainableConfig kTrainAll{.parts = TrainableParts::kAll, .names = {}};

/// A model with LoRA on decoder and vision tower whose B are not zero, in which everything moves the result.
Lmm adapted_model(const std::string& checkpoint, c10::ScalarType dtype, const TrainableConfig& trainable,
                  double dropout = 0) {
  Lmm model = load_golden_model(checkpoint, dtype);
  LoraConfig config;
  config.rank = 4;
  config.alpha = 8;
  config.dropout = dropout;
  config.target_modules = {".*_proj|qkv|proj|fc1|fc2|mlp\\.[02]"};
  if (!model.vision) config.target_modules = {".*_proj"};
  attach_lora(model, config, 11);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(3);
  for (const LinearModule& module : linear_layers(model)) {
    for (LoraTerm& term : module.layer->lora) {
      if (term.path != module.path) continue;
      term.b.copy_(0.1 * at::randn(term.b.sizes(), generator, torch::kFloat64));
    }
  }
  set_trainable(model, trainable);
  return model;
}

torch::Tensor loss_of(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options = {}) {
  const auto rows = embed(model, batch, options);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(8);
  return (rows * at::randn(rows.sizes(), generator, torch::kFloat64).to(rows.scalar_type())).sum();
}

/// By name, of the leaves.
std::map<std::string, torch::Tensor> gradients_of(Lmm& model, const PackedBatch& batch,
                                                  const ForwardOptions& options = {}) {
  const auto leaves = trainable_tensors(model);
  for (const auto& leaf : leaves) leaf.tensor.mutable_grad() = torch::Tensor();
  loss_of(model, batch, options).backward();
  std::map<std::string, torch::Tensor> gradients;
  for (const auto& leaf : leaves) gradients[leaf.name] = leaf.tensor.grad();
  return gradients;
}

DropoutContext dropout_for(const PackedBatch& batch, int64_t first_id = 0) {
  return {5, 17, at::arange(first_id, first_id + batch.cu_seqlens.size(0) - 1, at::TensorOptions(torch::kInt64))};
}

void expect_equal_bits(const std::map<std::string, torch::Tensor>& ours,
                       const std::map<std::string, torch::Tensor>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  for (const auto& [name, gradient] : expected) {
    ASSERT_EQ(gradient.defined(), ours.at(name).defined()) << name;
    if (!gradient.defined()) continue;
    EXPECT_TRUE(at::equal(ours.at(name), gradient)) << name;
  }
}

class Training : public testing::TestWithParam<std::string> {};

TEST_P(Training, GradientInFloat64IsTheSlopeOfTheLoss) {
  Lmm model = adapted_model(GetParam(), torch::kFloat64, kTrainAll);
  const PackedBatch batch = packed(golden_cases(GetParam()), model.config);
  const auto gradients = gradients_of(model, batch);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(21);
  constexpr double kStep = 1e-6;
  const torch::NoGradGuard no_gradient;
  for (const TrainableTensor& leaf : trainable_tensors(model)) {
    if (leaf.name == "lm_head.weight") continue;  // no part of the embedding
    ASSERT_TRUE(gradients.at(leaf.name).defined()) << leaf.name;
    torch::Tensor values = leaf.tensor.detach();
    const torch::Tensor original = values.clone(), direction = at::randn(values.sizes(), generator, torch::kFloat64);
    const double slope = (gradients.at(leaf.name) * direction).sum().item<double>();
    const auto loss_at = [&](double step) {
      values.copy_(original + step * direction);
      return loss_of(model, batch).item<double>();
    };
    const double measured = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    values.copy_(original);
    EXPECT_NEAR(slope, measured, 1e-6 * std::max(1.0, std::abs(slope))) << leaf.name;
  }
}

TEST_P(Training, Float32GradientsAreThoseOfFloat64) {
  for (const TrainableConfig& trainable : {TrainableConfig{}, kTrainAll}) {
    Lmm wide = adapted_model(GetParam(), torch::kFloat64, trainable, 0.3);
    Lmm narrow = adapted_model(GetParam(), torch::kFloat32, trainable, 0.3);
    const PackedBatch batch = packed(golden_cases(GetParam()), wide.config);
    const ForwardOptions options{.features = {}, .dropout = dropout_for(batch), .recompute_blocks = false};
    const auto expected = gradients_of(wide, batch, options), ours = gradients_of(narrow, batch, options);
    double largest = 0;
    for (const auto& [name, gradient] : expected)
      if (gradient.defined()) largest = std::max(largest, gradient.abs().max().item<double>());
    for (const auto& [name, gradient] : expected) {
      if (!gradient.defined()) continue;
      const double scale = gradient.abs().max().item<double>() + 1e-3 * largest;
      EXPECT_LT(largest_difference(ours.at(name).to(torch::kFloat64), gradient) / scale, 1e-5) << name;
    }
  }
}

TEST_P(Training, Bfloat16GradientsPointTheSameWay) {
  Lmm wide = adapted_model(GetParam(), torch::kFloat64, {}), narrow = adapted_model(GetParam(), torch::kBFloat16, {});
  const PackedBatch batch = packed(golden_cases(GetParam()), wide.config);
  const auto expected = gradients_of(wide, batch), ours = gradients_of(narrow, batch);
  double product = 0, ours_squared = 0, expected_squared = 0;
  for (const auto& [name, gradient] : expected) {
    EXPECT_EQ(ours.at(name).scalar_type(), torch::kFloat32) << name << ": LoRA trains in float32";
    const auto other = ours.at(name).to(torch::kFloat64);
    product += (other * gradient).sum().item<double>();
    ours_squared += (other * other).sum().item<double>();
    expected_squared += (gradient * gradient).sum().item<double>();
  }
  EXPECT_GT(product / std::sqrt(ours_squared * expected_squared), 0.99);
}

TEST_P(Training, RecomputedBlocksGiveTheBitsOfPlainOnes) {
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const TrainableConfig& trainable : {TrainableConfig{}, kTrainAll}) {
      Lmm model = adapted_model(GetParam(), dtype, trainable, 0.2);
      const PackedBatch batch = packed(golden_cases(GetParam()), model.config);
      ForwardOptions options{.features = {}, .dropout = dropout_for(batch), .recompute_blocks = false};
      const auto plain = gradients_of(model, batch, options);
      const torch::Tensor rows = embed(model, batch, options);
      options.recompute_blocks = true;
      EXPECT_TRUE(at::equal(embed(model, batch, options), rows));
      expect_equal_bits(gradients_of(model, batch, options), plain);
    }
  }
}

TEST_P(Training, KeptFeaturesOfAFrozenTowerGiveTheSameGradients) {
  Lmm model = load_golden_model(GetParam());
  if (!model.vision) return;  // a text model has none
  attach_lora(model, {}, 1);
  set_trainable(model, {});
  const PackedBatch batch = packed(golden_cases(GetParam()), model.config);
  const ForwardOptions kept{.features = image_features(model, batch), .dropout = {}, .recompute_blocks = false};
  EXPECT_FALSE(kept.features.requires_grad());
  expect_equal_bits(gradients_of(model, batch, kept), gradients_of(model, batch));
}

TEST_P(Training, DropoutDependsOnTheSequenceAndNotOnItsPack) {
  const Lmm model = adapted_model(GetParam(), torch::kFloat32, {}, 0.3);
  const torch::NoGradGuard no_gradient;
  const auto cases = golden_cases(GetParam());
  const PackedBatch all = packed(cases, model.config);
  ForwardOptions options{.features = {}, .dropout = dropout_for(all, 40), .recompute_blocks = false};
  const torch::Tensor together = embed(model, all, options);
  EXPECT_GT(largest_difference(together, embed(model, all)), 1e-3) << "dropout does something";
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const PackedBatch one = packed({cases[i]}, model.config);
    options.dropout = dropout_for(one, 40 + static_cast<int64_t>(i));
    EXPECT_LT(largest_difference(embed(model, one, options)[0], together[static_cast<int64_t>(i)]), 5e-6);
  }
  options.dropout->step = 18;
  options.dropout->sequence_ids = dropout_for(all, 40).sequence_ids;
  EXPECT_GT(largest_difference(embed(model, all, options), together), 1e-3) << "another step, other masks";
}

INSTANTIATE_TEST_SUITE_P(Families, Training, testing::Values("qwen2_vl_hub", "qwen2_5_vl_hub", "qwen2_hub"),
                         [](const auto& tested) { return tested.param; });

TEST(TrainingRefusal, SequenceIdsThatDoNotFit) {
  const Lmm model = adapted_model("qwen2_hub", torch::kFloat32, {}, 0.3);
  const PackedBatch batch = packed(golden_cases("qwen2_hub"), model.config);
  ForwardOptions options{.features = {}, .dropout = dropout_for(batch), .recompute_blocks = false};
  options.dropout->sequence_ids = options.dropout->sequence_ids.narrow(0, 1, 1);
  EXPECT_THAT(message_of<ShapeError>([&] { embed(model, batch, options); }), HasSubstr("sequence_ids"));
  options.dropout->sequence_ids = dropout_for(batch, -1).sequence_ids;
  EXPECT_THAT(message_of<ShapeError>([&] { embed(model, batch, options); }), HasSubstr("-1"));
}

}  // namespace
}  // namespace trireme
