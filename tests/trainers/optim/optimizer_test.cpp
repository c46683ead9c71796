#include "trainers/optim/optimizer.h"

#include <limits>

#include <gmock/gmock.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include "core/config/config.h"
#include "core/io/safetensors.h"
#include "tests/support/expect_error.h"
#include "trainers/schedule/schedule.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kSteps = 20;
const std::vector<std::string> kNames = {"model.a.weight", "model.a.bias", "visual.b.weight", "logit_scale"};

struct Case {
  std::string name;
  OptimConfig config;
  double tolerance;
};

torch::Tensor golden(const std::string& name) {
  static const SafetensorsFile file(std::filesystem::path(TRIREME_TEST_DIR) / "golden/optim/optimizers.safetensors");
  const SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) throw std::runtime_error("no golden tensor " + name);
  return file.tensor(*entry);
}

NamedTensors starting_weights(const std::string& case_name) {
  NamedTensors parameters;
  for (const std::string& name : kNames) {
    parameters.emplace_back(name, golden(case_name + ".start." + name).clone().set_requires_grad(true));
  }
  return parameters;
}

std::vector<torch::Tensor> set_gradients(NamedTensors& parameters, const std::string& case_name, int64_t step) {
  std::vector<torch::Tensor> gradients;
  for (auto& [name, parameter] : parameters) {
    parameter.mutable_grad() = golden(case_name + ".gradients." + name).select(0, step).clone();
    gradients.push_back(parameter.grad());
  }
  return gradients;
}

/// Steps [begin, end) of a golden case with its schedule: a cosine with three steps of warm-up.
void run(Optimizer& optimizer, NamedTensors& parameters, const Case& c, int64_t begin, int64_t end) {
  const Schedule schedule({.warmup_steps = 3}, kSteps);
  for (int64_t step = begin; step < end; ++step) {
    const GradientNorm norm = gradient_norm(set_gradients(parameters, c.name, step), c.config.clip_norm);
    optimizer.step(c.config.peak_lr * schedule.factor(step), norm);
    if (c.config.clip_norm) {
      const double expected = golden(c.name + ".norms")[step].item<double>();
      EXPECT_NEAR(norm.norm.item<double>(), expected, 1e-6 * expected) << "step " << step;
    }
  }
}

class OptimizerGolden : public ::testing::TestWithParam<Case> {};

TEST_P(OptimizerGolden, EqualsPyTorchAfterTwentySteps) {
  const Case& c = GetParam();
  NamedTensors parameters = starting_weights(c.name);
  Optimizer optimizer(c.config, parameters);
  run(optimizer, parameters, c, 0, kSteps);
  for (const auto& [name, parameter] : parameters) {
    const torch::Tensor expected = golden(c.name + ".end." + name);
    const double difference = (parameter.detach() - expected).abs().max().item<double>();
    EXPECT_LE(difference, c.tolerance * expected.abs().max().item<double>()) << name;
    EXPECT_FALSE(at::equal(parameter.detach(), golden(c.name + ".start." + name))) << name << " did not change";
  }
  EXPECT_EQ(optimizer.steps_done(), kSteps);
}

TEST_P(OptimizerGolden, GoesOnFromItsSavedStateBitForBit) {
  const Case& c = GetParam();
  NamedTensors unbroken = starting_weights(c.name);
  Optimizer whole(c.config, unbroken);
  run(whole, unbroken, c, 0, kSteps);

  NamedTensors first = starting_weights(c.name);
  Optimizer before(c.config, first);
  run(before, first, c, 0, 11);
  NamedTensors second;
  for (const auto& [name, parameter] : first) {
    second.emplace_back(name, parameter.detach().clone().set_requires_grad(true));
  }
  Optimizer after(c.config, second);
  after.load_state(before.state());
  run(after, second, c, 11, kSteps);

  EXPECT_EQ(after.steps_done(), kSteps);
  for (std::size_t i = 0; i < unbroken.size(); ++i) {
    EXPECT_TRUE(at::equal(unbroken[i].second, second[i].second)) << unbroken[i].first;
  }
  const NamedTensors whole_state = whole.state(), after_state = after.state();
  ASSERT_EQ(whole_state.size(), after_state.size());
  for (std::size_t i = 0; i < whole_state.size(); ++i) {
    EXPECT_EQ(whole_state[i].first, after_state[i].first);
    EXPECT_TRUE(at::equal(whole_state[i].second, after_state[i].second)) << whole_state[i].first;
  }
}

OptimConfig adamw(double weight_decay, std::optional<double> clip_norm) {
  return {.peak_lr = 1e-2, .weight_decay = weight_decay, .clip_norm = clip_norm, .beta2 = 0.99};
}
OptimConfig sgd(bool nesterov, std::optional<double> clip_norm) {
  return {
      .kind = OptimizerKind::kSgd, .peak_lr = 1e-2, .weight_decay = 0.1, .clip_norm = clip_norm, .nesterov = nesterov};
}

// In float64 the divisor is a float32 number.
INSTANTIATE_TEST_SUITE_P(Cases, OptimizerGolden,
                         ::testing::Values(Case{"adamw_f32", adamw(0, std::nullopt), 1e-6},
                                           Case{"adamw_decay_clip_f32", adamw(0.1, 1.0), 1e-6},
                                           Case{"sgd_clip_f32", sgd(false, 1.0), 1e-6},
                                           Case{"sgd_nesterov_f32", sgd(true, std::nullopt), 1e-6},
                                           Case{"adamw_f64", adamw(0, std::nullopt), 1e-12},
                                           Case{"adamw_decay_clip_f64", adamw(0.1, 1.0), 1e-7},
                                           Case{"sgd_clip_f64", sgd(false, 1.0), 1e-7},
                                           Case{"sgd_nesterov_f64", sgd(true, std::nullopt), 1e-12}),
                         [](const auto& instance) { return instance.param.name; });

torch::Tensor parameter(std::vector<double> values, c10::ScalarType dtype = torch::kFloat32) {
  return at::tensor(values, torch::kFloat64).to(dtype).reshape({1, -1}).set_requires_grad(true);
}

void give_gradient(torch::Tensor tensor, double value) { tensor.mutable_grad() = at::full_like(tensor, value); }

TEST(Optimizer, LeavesEverythingAloneWhenAGradientIsNotFinite) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const OptimizerKind kind : {OptimizerKind::kAdamW, OptimizerKind::kSgd}) {
      const torch::Tensor good_one = parameter({1, 2}), bad_one = parameter({3});
      Optimizer optimizer({.kind = kind, .weight_decay = 0.1}, {{"good", good_one}, {"bad", bad_one}});
      give_gradient(good_one, 1);
      give_gradient(bad_one, bad);
      const GradientNorm norm = gradient_norm({good_one.grad(), bad_one.grad()}, 1.0);
      EXPECT_EQ(norm.non_finite.item<float>(), 1);
      optimizer.step(0.1, norm);
      EXPECT_TRUE(at::equal(good_one, parameter({1, 2})));
      EXPECT_TRUE(at::equal(bad_one, parameter({3})));
      for (const auto& [name, tensor] : optimizer.state()) EXPECT_EQ(tensor.abs().sum().item<float>(), 0) << name;

      give_gradient(bad_one, 1);
      give_gradient(good_one, 1);
      optimizer.step(0.1, gradient_norm({good_one.grad(), bad_one.grad()}, 1.0));
      EXPECT_EQ(optimizer.steps_done(), 1);
      EXPECT_FALSE(at::equal(good_one, parameter({1, 2})));
    }
  }
}

TEST(Optimizer, MovesHalfPrecisionWeightsByStepsThatTheyCannotShow) {
  const torch::Tensor half = parameter({256}, torch::kBFloat16);
  Optimizer optimizer({}, {{"w", half}});
  for (int step = 0; step < 8; ++step) {
    give_gradient(half, 1);
    optimizer.step(0.25, gradient_norm({half.grad()}, std::nullopt));  // bfloat16 has steps of 1 and 2 around 256
  }
  EXPECT_EQ(half.item<float>(), 254);
  EXPECT_EQ(optimizer.state().back().first, "w.master");
}

TEST(Optimizer, GivesTheLongestFittingNameItsLearningRate) {
  const std::vector<std::string> names = {"visual.merger.weight", "visual.blocks.weight", "visuals.weight"};
  NamedTensors parameters;
  for (const std::string& name : names) parameters.emplace_back(name, parameter({1}));
  Optimizer optimizer(
      {.kind = OptimizerKind::kSgd, .momentum = 0, .lr_factors = {{"visual", 0.5}, {"visual.merger", 0.25}}},
      parameters);
  std::vector<torch::Tensor> gradients;
  for (auto& [name, tensor] : parameters) {
    give_gradient(tensor, 1);
    gradients.push_back(tensor.grad());
  }
  optimizer.step(0.5, gradient_norm(gradients, std::nullopt));
  EXPECT_EQ(parameters[0].second.item<float>(), 1 - 0.125f);
  EXPECT_EQ(parameters[1].second.item<float>(), 1 - 0.25f);
  EXPECT_EQ(parameters[2].second.item<float>(), 1 - 0.5f);
}

TEST(Optimizer, RefusesALearningRateForNothing) {
  EXPECT_THAT(message_of<ConfigError>([] {
                Optimizer({.lr_factors = {{"visuel", 0.1}}}, {{"visual.w", parameter({1})}});
              }),
              AllOf(HasSubstr("visuel"), HasSubstr("visual.w")));
}

TEST(Optimizer, RefusesAStateOfAnotherModelAndKeepsItsOwn) {
  const NamedTensors parameters = {{"a", parameter({1, 2})}, {"b", parameter({3})}};
  Optimizer optimizer({}, parameters);
  const NamedTensors good = optimizer.state();

  NamedTensors missing(good.begin(), good.end() - 1);
  EXPECT_THAT(message_of<DataError>([&] { optimizer.load_state(missing); }), HasSubstr("b.exp_avg_sq"));

  NamedTensors extra = good;
  extra.emplace_back("c.exp_avg", at::ones({1}));
  EXPECT_THAT(message_of<DataError>([&] { optimizer.load_state(extra); }), HasSubstr("got c.exp_avg"));

  NamedTensors misshapen = good;
  misshapen[0].second = at::ones({});
  misshapen[1].second = at::ones({1, 3});
  EXPECT_THAT(message_of<DataError>([&] { optimizer.load_state(misshapen); }),
              AllOf(HasSubstr("a.exp_avg must be [1, 2]"), HasSubstr("got [1, 3]")));
  EXPECT_EQ(optimizer.steps_done(), 0);
}

TEST(OptimConfig, RefusesDecaysThatNeverForget) {
  EXPECT_THAT(message_of<ConfigError>([] {
                Resolved<OptimConfig>::from(ConfigSource::parse("{beta1: 1, momentum: 1, clip_norm: 0}", "x.yaml"));
              }),
              HasSubstr("clip_norm must be positive"));
  EXPECT_THAT(message_of<ConfigError>([] { Resolved<OptimConfig>::from({.beta2 = 1, .momentum = 1}); }),
              AllOf(HasSubstr("beta2 must be below 1"), HasSubstr("momentum must be below 1")));
}

TEST(GradientNorm, IsOneWhereNothingIsClipped) {
  const GradientNorm within = gradient_norm({at::full({4}, 0.25)}, 1.0);
  EXPECT_FLOAT_EQ(within.norm.item<float>(), 0.5f);
  EXPECT_EQ(within.divisor.item<float>(), 1);
  const GradientNorm above = gradient_norm({at::full({4}, 2.0), at::full({9}, 0.0)}, 1.0);
  EXPECT_FLOAT_EQ(above.divisor.item<float>(), 4 + 1e-6);
  EXPECT_EQ(gradient_norm({at::full({4}, 2.0)}, std::nullopt).divisor.item<float>(), 1);
}

}  // namespace
}  // namespace trireme
