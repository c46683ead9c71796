#include "models/config_tensors.h"

#include <numeric>

#include <gtest/gtest.h>

#include "models/weights/hub_checkpoint.h"
#include "tests/support/editable_folder.h"

namespace trireme {
namespace {

using test::golden_checkpoint;

class TensorShapes : public testing::TestWithParam<const char*> {};

TEST_P(TensorShapes, AreThoseOfTheCheckpointsThatTransformersWrote) {
  const HubCheckpoint checkpoint(golden_checkpoint(GetParam()));
  auto expected = tensor_shapes(checkpoint.config());
  if (std::string(GetParam()) == "qwen2_base") {
    EXPECT_EQ(expected.erase("lm_head.weight"), 1u) << "untied, but saved from the class without a head";
  }
  const auto names = checkpoint.names();
  ASSERT_EQ(names.size(), expected.size());
  for (const std::string& name : names) {
    ASSERT_TRUE(expected.contains(name)) << name;
    EXPECT_EQ(checkpoint.entry(name).shape, expected[name]) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, TensorShapes,
                         testing::Values("qwen2_vl_hub", "qwen2_vl_new", "qwen2_5_vl_hub", "qwen2_5_vl_base",
                                         "qwen2_hub", "qwen2_base"));

struct Published {
  const char* name;
  ModelFamily family;
  int64_t hidden, ffn, layers, heads, kv_heads, vocab;
  bool tied;
  int64_t vision_mlp;   ///< of 32 blocks of 1280
  int64_t total_bytes;  ///< metadata.total_size of the hub's model.safetensors.index.json, bfloat16
};

void PrintTo(const Published& model, std::ostream* out) { *out << model.name; }

class PublishedSizes : public testing::TestWithParam<Published> {};

TEST_P(PublishedSizes, AddUpToTheHubsIndex) {
  const Published& m = GetParam();
  ModelConfig config;
  config.family = m.family;
  DecoderConfig& decoder = config.decoder;
  decoder.vocab_size = m.vocab;
  decoder.hidden_size = m.hidden;
  decoder.intermediate_size = m.ffn;
  decoder.layers = m.layers;
  decoder.heads = m.heads;
  decoder.kv_heads = m.kv_heads;
  decoder.head_dim = m.hidden / m.heads;
  decoder.tie_word_embeddings = m.tied;
  VisionConfig& vision = config.vision.emplace();
  vision.depth = 32;
  vision.embed_dim = 1280;
  vision.heads = 16;
  vision.out_hidden_size = m.hidden;
  vision.intermediate_size = m.vision_mlp;
  if (m.family == ModelFamily::kQwen25Vl) vision.activation = "silu";
  int64_t parameters = 0;
  for (const auto& [name, shape] : tensor_shapes(config))
    parameters += std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  EXPECT_EQ(parameters * 2, m.total_bytes);
}

INSTANTIATE_TEST_SUITE_P(Hub, PublishedSizes,
                         testing::Values(Published{"Qwen2-VL-2B-Instruct", ModelFamily::kQwen2Vl, 1536, 8960, 28, 12, 2,
                                                   151'936, true, 5120, 4'417'971'200},
                                         Published{"Qwen2-VL-7B-Instruct", ModelFamily::kQwen2Vl, 3584, 18'944, 28, 28,
                                                   4, 152'064, false, 5120, 16'582'751'232},
                                         Published{"Qwen2.5-VL-3B-Instruct", ModelFamily::kQwen25Vl, 2048, 11'008, 36,
                                                   16, 2, 151'936, true, 3420, 7'509'245'952},
                                         Published{"Qwen2.5-VL-7B-Instruct", ModelFamily::kQwen25Vl, 3584, 18'944, 28,
                                                   28, 4, 152'064, false, 3420, 16'584'333'312}));

using Shape = std::vector<int64_t>;

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
  for (const auto& [path, module] : linear_modules(qwen2_vl_7b()))
    if (path.starts_with("model.layers.")) sum += module.in_features + module.rows;
  EXPECT_EQ(sum, 2'523'136);
}

TEST(LinearModules, GroupedKeysAndValuesAreNarrowerThanQueries) {
  const auto modules = linear_modules(qwen2_vl_7b());
  EXPECT_EQ(modules.at("model.layers.27.self_attn.q_proj").weight_shape, Shape({3584, 3584}));
  EXPECT_EQ(modules.at("model.layers.27.self_attn.k_proj").weight_shape, Shape({512, 3584}));
  EXPECT_EQ(modules.at("model.layers.27.self_attn.o_proj").weight_shape, Shape({3584, 3584}));
  EXPECT_EQ(modules.at("model.layers.0.mlp.down_proj").weight_shape, Shape({3584, 18'944}));
  const auto shapes = tensor_shapes(qwen2_vl_7b());
  EXPECT_EQ(shapes.at("model.layers.27.self_attn.k_proj.bias"), Shape({512}));
  EXPECT_FALSE(shapes.contains("model.layers.27.self_attn.o_proj.bias"));
  EXPECT_EQ(modules.size(), 28u * 7 + 1 + 32 * 4 + 2);
}

TEST(LinearModules, VisionTowersOfTheTwoFamiliesHaveTheirOwnMlp) {
  ModelConfig config = qwen2_vl_7b();
  EXPECT_TRUE(linear_modules(config).contains("visual.blocks.31.mlp.fc1"));
  EXPECT_EQ(linear_modules(config).at("visual.merger.mlp.2").weight_shape, Shape({3584, 5120}));
  config.family = ModelFamily::kQwen25Vl;
  config.vision->activation = "silu";
  EXPECT_FALSE(linear_modules(config).contains("visual.blocks.31.mlp.fc1"));
  EXPECT_EQ(linear_modules(config).at("visual.blocks.0.mlp.gate_proj").weight_shape, Shape({5120, 1280}));
}

}  // namespace
}  // namespace trireme
