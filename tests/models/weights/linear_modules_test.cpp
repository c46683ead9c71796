#include "models/linear_modules.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

ModelConfig qwen2_vl_7b() {
  ModelConfig config;
  config.family = ModelFamily::kQwen2Vl;
  DecoderConfig& d = config.decoder;
  d.vocab_size = 152'064;
  d.hidden_size = 3584;
  d.intermediate_size = 18'944;
  d.layers = 28;
  d.heads = 28;
  d.kv_heads = 4;
  d.head_dim = 128;
  VisionConfig vision;
  vision.depth = 32;
  vision.embed_dim = 1280;
  vision.heads = 16;
  vision.intermediate_size = 5120;
  vision.out_hidden_size = 3584;
  config.vision = vision;
  return config;
}

// The published count: 2,523,136 trainable parameters per unit of rank, 322,961,408 at LamRA's r = 128.
TEST(LinearModules, SevenBillionModelHasThePublishedNumberOfLoraParametersPerRank) {
  EXPECT_EQ(decoder_lora_parameters_per_rank(qwen2_vl_7b()), 2'523'136);
  int64_t sum = 0;
  for (const auto& [path, shape] : linear_modules(qwen2_vl_7b()))
    if (path.starts_with("model.layers.")) sum += shape.in_features + shape.out_features;
  EXPECT_EQ(sum, 2'523'136);
}

TEST(LinearModules, GroupedKeysAndValuesAreNarrowerThanQueries) {
  const auto modules = linear_modules(qwen2_vl_7b());
  EXPECT_EQ(modules.at("model.layers.27.self_attn.q_proj"), (LinearShape{3584, 3584, true}));
  EXPECT_EQ(modules.at("model.layers.27.self_attn.k_proj"), (LinearShape{3584, 512, true}));
  EXPECT_EQ(modules.at("model.layers.27.self_attn.o_proj"), (LinearShape{3584, 3584, false}));
  EXPECT_EQ(modules.at("model.layers.0.mlp.down_proj"), (LinearShape{18'944, 3584, false}));
  EXPECT_EQ(modules.size(), 28u * 7 + 1 + 32 * 4 + 2);
}

TEST(LinearModules, VisionTowersOfTheTwoFamiliesHaveTheirOwnMlp) {
  ModelConfig config = qwen2_vl_7b();
  EXPECT_TRUE(linear_modules(config).contains("visual.blocks.31.mlp.fc1"));
  EXPECT_EQ(linear_modules(config).at("visual.merger.mlp.2"), (LinearShape{5120, 3584, true}));
  config.family = ModelFamily::kQwen25Vl;
  EXPECT_FALSE(linear_modules(config).contains("visual.blocks.31.mlp.fc1"));
  EXPECT_EQ(linear_modules(config).at("visual.blocks.0.mlp.gate_proj"), (LinearShape{1280, 5120, true}));
}

}  // namespace
}  // namespace trireme
