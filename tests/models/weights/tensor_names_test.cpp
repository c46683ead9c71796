#include "models/weights/tensor_names.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

struct Spellings {
  const char *canonical, *renamed, *base_model;
};

class TensorNames : public testing::TestWithParam<Spellings> {};

TEST_P(TensorNames, AllThreeSpellingsBecomeTheCanonicalOneAndBack) {
  const auto& [canonical, renamed, base_model] = GetParam();
  EXPECT_EQ(canonical_name(canonical), canonical);
  EXPECT_EQ(canonical_name(renamed), canonical);
  EXPECT_EQ(canonical_name(base_model), canonical);
  EXPECT_EQ(spelled(canonical, TensorNaming::kOld, false), canonical);
  EXPECT_EQ(spelled(canonical, TensorNaming::kNew, false), renamed);
  EXPECT_EQ(spelled(canonical, TensorNaming::kBaseModel, false), base_model);
}

INSTANTIATE_TEST_SUITE_P(
    Vision, TensorNames,
    testing::Values(Spellings{"model.embed_tokens.weight", "model.language_model.embed_tokens.weight",
                              "language_model.embed_tokens.weight"},
                    Spellings{"model.layers.11.self_attn.q_proj", "model.language_model.layers.11.self_attn.q_proj",
                              "language_model.layers.11.self_attn.q_proj"},
                    Spellings{"model.norm.weight", "model.language_model.norm.weight", "language_model.norm.weight"},
                    Spellings{"visual.blocks.0.attn.qkv.bias", "model.visual.blocks.0.attn.qkv.bias",
                              "visual.blocks.0.attn.qkv.bias"},
                    Spellings{"visual.merger.mlp.0.weight", "model.visual.merger.mlp.0.weight",
                              "visual.merger.mlp.0.weight"},
                    Spellings{"lm_head.weight", "lm_head.weight", "lm_head.weight"}));

TEST(TensorNamesOfTextModels, BaseModelHasNoPrefixAndNewIsTheOld) {
  for (const char* canonical :
       {"model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight", "model.norm.weight"}) {
    const std::string bare = std::string(canonical).substr(6);
    EXPECT_EQ(spelled(canonical, TensorNaming::kBaseModel, true), bare);
    EXPECT_EQ(spelled(canonical, TensorNaming::kNew, true), canonical);
    EXPECT_EQ(canonical_name(bare), canonical);
    EXPECT_EQ(naming_of(bare), TensorNaming::kBaseModel);
  }
}

TEST(TensorNamesNaming, IsToldByTheDecoderAndTheNewVisionPrefix) {
  EXPECT_EQ(naming_of("model.layers.0.mlp.up_proj"), TensorNaming::kOld);
  EXPECT_EQ(naming_of("model.language_model.layers.0.mlp.up_proj"), TensorNaming::kNew);
  EXPECT_EQ(naming_of("model.visual.blocks.0.attn.qkv"), TensorNaming::kNew);
  EXPECT_EQ(naming_of("language_model.layers.0.mlp.up_proj"), TensorNaming::kBaseModel);
  EXPECT_EQ(naming_of("visual.blocks.0.attn.qkv"), TensorNaming::kOld) << "does not tell old from base model";
}

TEST(TensorNamesUnknown, ComeBackAsTheyAre) {
  EXPECT_EQ(canonical_name("transformer.h.0.attn.c_attn.weight"), "transformer.h.0.attn.c_attn.weight");
  EXPECT_EQ(canonical_name("modelling.layers"), "modelling.layers");
}

}  // namespace
}  // namespace trireme
