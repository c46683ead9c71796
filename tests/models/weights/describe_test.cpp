#include "models/weights/describe.h"

#include <ATen/ops/ones.h>

#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::EditableFolder;
using test::golden_checkpoint;
using test::message_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Tensors = EditableFolder::Tensors;

int64_t parameters_of(const CheckpointDescription& description, std::string_view part) {
  for (const auto& candidate : description.parts)
    if (candidate.name == part) return candidate.parameters;
  return -1;
}

TEST(DescribeCheckpoint, CountsParametersByPart) {
  const auto d = describe_checkpoint(golden_checkpoint("qwen2_vl_new"));
  EXPECT_EQ(parameters_of(d, "embeddings"), 64 * 48);
  EXPECT_EQ(parameters_of(d, "head"), 64 * 48);
  // q and o 48 x 48, k and v 8 x 48, three of 64 x 48, biases of q, k, v, two norms; the last norm.
  EXPECT_EQ(parameters_of(d, "decoder"), 2 * (2 * 48 * 48 + 2 * 8 * 48 + 3 * 64 * 48 + 48 + 8 + 8 + 2 * 48) + 48);
  EXPECT_EQ(parameters_of(d, "merger"), 2 * 48 + 192 * 192 + 192 + 192 * 48 + 48);
  EXPECT_EQ(parameters_of(d, "vision tower"),
            48 * 96 + 4 * 48 + 3 * 48 * 48 + 3 * 48 + 48 * 48 + 48 + 2 * 48 * 192 + 192 + 48);
  EXPECT_EQ(d.parameters_by_dtype.at("bfloat16"), d.parameters());
  EXPECT_EQ(d.weight_files.size(), 3u);
  EXPECT_GT(d.weight_bytes, static_cast<uint64_t>(2 * d.parameters()));
  EXPECT_EQ(d.lora_parameters_per_rank, 2 * ((48 + 48) * 2 + (48 + 8) * 2 + (48 + 64) * 3));
}

class DescribeGolden : public testing::TestWithParam<const char*> {};

TEST_P(DescribeGolden, FindsNothingWrong) {
  const auto d = describe_checkpoint(golden_checkpoint(GetParam()));
  EXPECT_THAT(d.missing, IsEmpty());
  EXPECT_THAT(d.misshapen, IsEmpty());
  EXPECT_THAT(d.surplus, IsEmpty());
  EXPECT_THAT(text_of(d), Not(HasSubstr("missing tensors")));
}

INSTANTIATE_TEST_SUITE_P(All, DescribeGolden,
                         testing::Values("qwen2_vl_hub", "qwen2_vl_new", "qwen2_5_vl_hub", "qwen2_5_vl_base",
                                         "qwen2_hub", "qwen2_base"));

TEST(DescribeCheckpoint, NamesWhatWouldNotLoad) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_tensors("model.safetensors", [](Tensors& t) {
    t.erase("model.layers.1.mlp.up_proj.weight");
    t["model.norm.weight"] = at::ones({47});
    t["score.weight"] = at::ones({1, 48});
  });
  const auto d = describe_checkpoint(folder.path());
  EXPECT_THAT(d.missing, ElementsAre("model.layers.1.mlp.up_proj.weight"));
  EXPECT_THAT(d.misshapen, ElementsAre("model.norm.weight [47] for [48]"));
  EXPECT_THAT(d.surplus, ElementsAre("\"score.weight\""));
  EXPECT_THAT(text_of(d), HasSubstr("  missing tensors 1: model.layers.1.mlp.up_proj.weight\n"));
}

TEST(DescribeCheckpoint, SaysWhatLiesBesideTheWeights) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.write("tokenizer.json", "{}");
  const auto d = describe_checkpoint(folder.path());
  EXPECT_THAT(d.files_present, ElementsAre("tokenizer.json"));
  EXPECT_THAT(d.files_absent, Contains("preprocessor_config.json"));
}

TEST(DescribeCheckpoint, TextNamesFamilyPositionsHeadAndNaming) {
  const auto vl = text_of(describe_checkpoint(golden_checkpoint("qwen2_5_vl_hub")));
  EXPECT_THAT(vl, HasSubstr("checkpoint\n  family          qwen2_5_vl\n"));
  EXPECT_THAT(vl, HasSubstr("  positions       M-RoPE, sections [4, 2, 2] of time, height, width, theta 1000000"));
  EXPECT_THAT(vl, HasSubstr("  head            of its own\n"));
  EXPECT_THAT(vl, HasSubstr("windows of 56 pixels but for blocks [1]\n"));
  EXPECT_THAT(vl, HasSubstr("naming          hub (model.layers, visual)"));
  const auto text = text_of(describe_checkpoint(golden_checkpoint("qwen2_base")));
  EXPECT_THAT(text, HasSubstr("  head            none\n"));
  EXPECT_THAT(text, HasSubstr("  positions       1-D"));
  EXPECT_THAT(text_of(describe_checkpoint(golden_checkpoint("qwen2_hub"))),
              HasSubstr("  head            tied to the embeddings"));
}

TEST(DescribeAdapter, GroupsModulesByLeafRankAndScale) {
  const auto d = describe_adapter(golden_checkpoint("adapters") / "qwen2_vl_legacy");
  EXPECT_EQ(d.decoder_modules, 14);
  EXPECT_EQ(d.vision_modules, 4);
  EXPECT_EQ(d.base_model_name, "qwen2_vl_hub");
  EXPECT_EQ(d.sha256.size(), 64u);
  const auto text = text_of(d);
  EXPECT_THAT(text, HasSubstr("q_proj        1 x r 2, alpha 8, scale 4: 128 parameters\n"));
  EXPECT_THAT(text, HasSubstr("q_proj        1 x r 4, alpha 8, scale 2: 256 parameters\n"));
  EXPECT_THAT(text, HasSubstr("k_proj        2 x r 4, alpha 12, scale 3: 384 parameters\n"));
  EXPECT_THAT(text, HasSubstr("modules         14 in the decoder, 4 in the vision tower"));
}

TEST(DescribeAdapter, NeedsNoBaseButRefusesWhatReadingWould) {
  const EditableFolder folder(golden_checkpoint("adapters") / "qwen2_rslora");
  EXPECT_TRUE(describe_adapter(folder.path()).rslora);
  folder.edit_json("adapter_config.json", [](EditableFolder::Json& c) { c["use_dora"] = true; });
  EXPECT_THAT(message_of<DataError>([&] { describe_adapter(folder.path()); }), HasSubstr("use_dora"));
}

TEST(Describe, TellsAdaptersFromCheckpoints) {
  EXPECT_TRUE(is_adapter_folder(golden_checkpoint("adapters") / "qwen2_rslora"));
  EXPECT_FALSE(is_adapter_folder(golden_checkpoint("qwen2_hub")));
}

}  // namespace
}  // namespace trireme
