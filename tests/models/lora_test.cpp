#include "models/lora.h"

#include <cmath>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>

#include "models/config_tensors.h"
#include "models/random_init.h"
#include "models/trainable.h"
#include "tests/models/golden_cases.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::golden_cases;
using test::load_golden_model;
using test::message_of;
using test::packed;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

LoraConfig config_for(std::vector<std::string> targets) {
  LoraConfig config;
  config.rank = 4;
  config.alpha = 8;
  config.target_modules = std::move(targets);
  return config;
}

std::set<std::string> adapted_paths(Lmm& model) {
  std::set<std::string> paths;
  for (const TensorStatus& status : tensor_statuses(model)) {
    if (!status.lora_target.empty()) paths.insert(status.lora_target);
  }
  return paths;
}

TEST(Lora, DefaultTargetsAreTheSevenLinearsOfEveryDecoderLayer) {
  for (const char* checkpoint : {"qwen2_vl_hub", "qwen2_5_vl_hub", "qwen2_hub"}) {
    Lmm model = load_golden_model(checkpoint);
    LoraConfig config;
    config.rank = 3;
    const LoraCount count = attach_lora(model, config, 1);
    EXPECT_EQ(count.modules, 7 * model.config.decoder.layers) << checkpoint;
    EXPECT_EQ(count.parameters, 3 * decoder_lora_parameters_per_rank(model.config)) << checkpoint;
    for (const std::string& path : adapted_paths(model)) EXPECT_THAT(path, ::testing::StartsWith("model.layers."));
  }
}

TEST(Lora, TargetsAreLeafNamesPathsOrExpressions) {
  Lmm model = load_golden_model("qwen2_5_vl_hub");
  LoraConfig config = config_for({"gate_proj", "visual\\.merger\\.mlp\\.0"});
  config.exclude_modules = {"visual\\.blocks\\..*", "layers\\.0\\.mlp\\.gate_proj"};
  attach_lora(model, config, 1);
  std::set<std::string> expected = {"visual.merger.mlp.0"};
  for (int64_t layer = 1; layer < model.config.decoder.layers; ++layer)
    expected.insert(fmt::format("model.layers.{}.mlp.gate_proj", layer));
  EXPECT_EQ(adapted_paths(model), expected);
}

TEST(Lora, BeginsAsPeftDoesAndLeavesTheModelAsItIs) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  const PackedBatch batch = packed(golden_cases("qwen2_vl_hub"), model.config);
  const torch::Tensor before = embed(model, batch);
  attach_lora(model, config_for({"model\\.layers\\..*", "visual\\..*"}), 7);
  EXPECT_TRUE(at::equal(embed(model, batch), before));
  for (const LinearModule& module : linear_layers(model)) {
    for (const LoraTerm& term : module.layer->lora) {
      const double bound = 1 / std::sqrt(static_cast<double>(term.a.size(1)));
      EXPECT_LE(term.a.abs().max().item<double>(), bound);
      EXPECT_GT(term.a.abs().max().item<double>(), 0.8 * bound);
      EXPECT_NEAR(term.a.var(false).item<double>() / (bound * bound / 3), 1, 0.4) << term.path;
      EXPECT_EQ(term.b.abs().max().item<double>(), 0);
      EXPECT_EQ(term.scale, 2);
    }
  }
}

TEST(Lora, ValuesDependOnSeedAndPathAlone) {
  const auto value_of = [](const std::vector<std::string>& targets, uint64_t seed) {
    Lmm model = load_golden_model("qwen2_vl_hub");
    attach_lora(model, config_for(targets), seed);
    for (const Parameter& parameter : named_parameters(model)) {
      if (parameter.name == "model.layers.1.mlp.up_proj.lora_A.weight") return parameter.value.clone();
    }
    return torch::Tensor();
  };
  const torch::Tensor all = value_of({"model\\.layers\\..*"}, 3);
  EXPECT_TRUE(at::equal(all, value_of({"up_proj"}, 3)));
  EXPECT_FALSE(at::equal(all, value_of({"up_proj"}, 4)));
}

TEST(Lora, RsloraScalesByTheRoot) {
  Lmm model = load_golden_model("qwen2_hub");
  LoraConfig config = config_for({"q_proj"});
  config.rslora = true;
  attach_lora(model, config, 1);
  EXPECT_DOUBLE_EQ(model.decoder.layers[0].qkv.lora.front().scale, 4.0);
}

TEST(LoraRefusal, NamesTheEntryThatMatchesNothing) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  EXPECT_THAT(message_of<ConfigError>([&] {
                attach_lora(model, config_for({"q_proj", "query"}), 1);
              }),
              AllOf(HasSubstr("target_modules"), HasSubstr("\"query\""), HasSubstr("q_proj, k_proj")));
  LoraConfig config = config_for({"q_proj"});
  config.exclude_modules = {"q_proj"};
  EXPECT_THAT(message_of<ConfigError>([&] { attach_lora(model, config, 1); }), HasSubstr("got none"));
  config.exclude_modules = {"w_proj"};
  EXPECT_THAT(message_of<ConfigError>([&] { attach_lora(model, config, 1); }), HasSubstr("exclude_modules"));
  EXPECT_THAT(adapted_paths(model), SizeIs(0)) << "a refused config leaves nothing behind";
}

TEST(LoraRefusal, ASecondTermOnOneLayer) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  attach_lora(model, config_for({"q_proj"}), 1);
  EXPECT_THAT(message_of<ConfigError>([&] {
                attach_lora(model, config_for({"v_proj", "q_proj"}), 1);
              }),
              HasSubstr("model.layers.0.self_attn.q_proj"));
}

TEST(Trainable, LoraAloneAsksForGradients) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  const LoraCount count = attach_lora(model, config_for({"model\\.layers\\..*"}), 1);
  set_trainable(model, {});
  require_trainable(model, {});
  int64_t parameters = 0;
  for (const TrainableTensor& leaf : trainable_tensors(model)) {
    EXPECT_THAT(leaf.name, HasSubstr(".lora_"));
    parameters += leaf.tensor.numel();
  }
  EXPECT_EQ(parameters, count.parameters);
}

TEST(Trainable, EveryTensorIsInExactlyOneLeaf) {
  for (const char* checkpoint : {"qwen2_vl_hub", "qwen2_5_vl_hub", "qwen2_base"}) {
    Lmm model = load_golden_model(checkpoint);
    const TrainableConfig all{.parts = TrainableParts::kAll, .names = {}};
    set_trainable(model, all);
    std::multiset<std::string> in_leaves, in_model;
    int64_t values_in_leaves = 0, values_in_model = 0;
    for (const TrainableTensor& leaf : trainable_tensors(model)) {
      in_leaves.insert(leaf.parts.begin(), leaf.parts.end());
      values_in_leaves += leaf.tensor.numel();
      if (leaf.parts.size() == 3) {
        EXPECT_THAT(leaf.name, HasSubstr(".self_attn.{q_proj,k_proj,v_proj}."));
      }
    }
    for (const Parameter& parameter : named_parameters(model)) {
      in_model.insert(parameter.name);
      values_in_model += parameter.value.numel();
    }
    EXPECT_EQ(in_leaves, in_model) << checkpoint;
    EXPECT_EQ(values_in_leaves, values_in_model) << checkpoint;
  }
}

TEST(Trainable, NamedTensorsAlone) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  set_trainable(model, {.parts = TrainableParts::kNamed,
                        .names = {"visual\\.merger\\..*", "q_proj\\..*", "k_proj\\..*", "v_proj\\..*"}});
  for (const TensorStatus& status : tensor_statuses(model)) {
    const bool attention = status.name.find(".self_attn.") != std::string::npos;
    const bool named =
        status.name.starts_with("visual.merger.") || (attention && status.name.find("o_proj") == std::string::npos);
    EXPECT_EQ(status.trainable, named) << status.name;
  }
}

TEST(TrainableRefusal, SaysWhichTensorContradictsTheConfig) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  const TrainableConfig lora;
  EXPECT_THAT(message_of<ConfigError>([&] { set_trainable(model, lora); }), HasSubstr("lora"));
  attach_lora(model, config_for({"q_proj"}), 1);
  set_trainable(model, lora);
  model.decoder.norm.set_requires_grad(true);
  EXPECT_THAT(message_of<ConfigError>([&] { require_trainable(model, lora); }),
              HasSubstr("model.norm.weight (trains, should not)"));
  model.decoder.norm.set_requires_grad(false);
  model.decoder.layers[0].qkv.lora[0].b.set_requires_grad(false);
  EXPECT_THAT(message_of<ConfigError>([&] { require_trainable(model, lora); }),
              HasSubstr("model.layers.0.self_attn.q_proj.lora_B.weight (frozen, should train)"));
}

TEST(TrainableRefusal, HalfOfAFusedTensorAndANameThatMatchesNothing) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  const auto named = [&](std::vector<std::string> names) {
    return message_of<ConfigError>([&] { set_trainable(model, {TrainableParts::kNamed, std::move(names)}); });
  };
  EXPECT_THAT(named({"gate_proj\\.weight"}), AllOf(HasSubstr("gate_proj"), HasSubstr("up_proj")));
  EXPECT_THAT(named({"merger"}), HasSubstr("\"merger\""));
}

TEST(RandomInit, StandardDeviationsAreTheOnesAskedFor) {
  const ModelConfig config = load_golden_model("qwen2_5_vl_hub").config;
  Lmm model = random_model(config, {.seed = 5, .linear_std = {}, .embedding_std = 0.02}, {});
  for (const Parameter& parameter : named_parameters(model)) {
    const std::string& name = parameter.name;
    const double spread = parameter.value.std(false).item<double>();
    const double width = name.starts_with("visual.") ? config.vision->embed_dim : config.decoder.hidden_size;
    if (name.ends_with(".bias")) {
      EXPECT_EQ(parameter.value.abs().max().item<double>(), 0) << name;
    } else if (parameter.value.dim() == 1) {
      EXPECT_TRUE(at::equal(parameter.value, at::ones_like(parameter.value))) << name;
    } else {
      const double asked = name == "model.embed_tokens.weight" ? 0.02 : 1 / std::sqrt(width);
      const double deviation = 1 / std::sqrt(2.0 * static_cast<double>(parameter.value.numel()));  // of a sample's own
      EXPECT_NEAR(spread / asked, 1, 5 * deviation) << name;
    }
  }
}

TEST(RandomInit, IsAPureFunctionOfSeedAndName) {
  const ModelConfig config = load_golden_model("qwen2_vl_hub").config;
  const auto weight = [&](uint64_t seed, int64_t layers) {
    ModelConfig other = config;
    other.decoder.layers = layers;
    return random_model(other, {.seed = seed, .linear_std = {}}, {}).decoder.layers[0].down.weight;
  };
  EXPECT_TRUE(at::equal(weight(1, 1), weight(1, 2)));
  EXPECT_FALSE(at::equal(weight(1, 1), weight(2, 1)));
  EXPECT_THAT(message_of<ConfigError>([&] { random_model(config, {.seed = 1, .linear_std = -1.0}, {}); }),
              HasSubstr("-1"));
}

}  // namespace
}  // namespace trireme
