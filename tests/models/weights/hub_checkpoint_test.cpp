#include "models/weights/hub_checkpoint.h"

#include <ATen/ops/ones.h>

#include "core/io/hash.h"
#include "models/config_tensors.h"
#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::EditableFolder;
using test::golden_checkpoint;
using test::message_of;
using testing::HasSubstr;
using Json = EditableFolder::Json;
using Tensors = EditableFolder::Tensors;

struct Layout {
  const char* name;
  TensorNaming naming;
  c10::ScalarType dtype;
  std::size_t shards;
  bool head;
};

void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }

class HubCheckpointLayouts : public testing::TestWithParam<Layout> {};

TEST_P(HubCheckpointLayouts, GiveTheSameCanonicalNamesInTheStoredDtype) {
  const Layout& layout = GetParam();
  HubCheckpoint checkpoint(golden_checkpoint(layout.name));
  EXPECT_EQ(checkpoint.naming(), layout.naming);
  EXPECT_EQ(checkpoint.weight_files().size(), layout.shards);
  EXPECT_EQ(checkpoint.has("lm_head.weight"), layout.head);

  const ModelConfig& config = checkpoint.config();
  const auto shapes = tensor_shapes(config);
  for (const auto& [path, module] : linear_modules(config)) {
    if (path == "lm_head") continue;
    const auto weight = checkpoint.take(path + ".weight", module.weight_shape);
    EXPECT_EQ(weight.scalar_type(), layout.dtype);
    EXPECT_TRUE(weight.is_contiguous());
    const auto bias = shapes.find(path + ".bias");
    EXPECT_EQ(checkpoint.has(path + ".bias"), bias != shapes.end()) << path;
    if (bias != shapes.end()) checkpoint.take(path + ".bias", bias->second);
  }
  // What is not a linear layer: embeddings, norms, the patch convolution.
  const auto surplus = message_of<DataError>([&] { checkpoint.require_all_taken(); });
  EXPECT_THAT(surplus, HasSubstr("embed_tokens.weight"));
  for (const std::string& name : checkpoint.names()) checkpoint.take(name, checkpoint.entry(name).shape);
  EXPECT_NO_THROW(checkpoint.require_all_taken()) << "an untied head need not be taken";
}

INSTANTIATE_TEST_SUITE_P(Golden, HubCheckpointLayouts,
                         testing::Values(Layout{"qwen2_vl_hub", TensorNaming::kOld, torch::kFloat32, 1, false},
                                         Layout{"qwen2_vl_new", TensorNaming::kNew, torch::kBFloat16, 3, true},
                                         Layout{"qwen2_5_vl_hub", TensorNaming::kOld, torch::kFloat16, 2, true},
                                         Layout{"qwen2_5_vl_base", TensorNaming::kBaseModel, torch::kBFloat16, 1,
                                                false},
                                         Layout{"qwen2_hub", TensorNaming::kOld, torch::kFloat32, 1, false},
                                         Layout{"qwen2_base", TensorNaming::kBaseModel, torch::kBFloat16, 1, false}));

TEST(HubCheckpoint, TensorsOutliveTheCheckpoint) {
  torch::Tensor norm;
  {
    HubCheckpoint checkpoint(golden_checkpoint("qwen2_hub"));
    norm = checkpoint.take("model.norm.weight", {48});
  }
  EXPECT_NEAR(norm.mean().item<float>(), 1.0f, 0.2f);
}

TEST(HubCheckpoint, FilesMayMixDtypes) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_tensors("model.safetensors", [](Tensors& t) {
    t["model.norm.weight"] = t["model.norm.weight"].to(torch::kBFloat16);
    t["model.layers.0.mlp.up_proj.weight"] = t["model.layers.0.mlp.up_proj.weight"].to(torch::kHalf);
  });
  HubCheckpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.take("model.norm.weight", {48}).scalar_type(), torch::kBFloat16);
  EXPECT_EQ(checkpoint.take("model.layers.0.mlp.up_proj.weight", {56, 48}).scalar_type(), torch::kHalf);
}

TEST(HubCheckpoint, ToleratesInvFreqBuffersAndATiedHead) {
  const EditableFolder folder(golden_checkpoint("qwen2_vl_hub"));
  folder.edit_tensors("model.safetensors", [](Tensors& t) {
    t["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({8}, torch::kFloat64);
    t["visual.rotary_pos_emb.inv_freq"] = at::ones({4});
    t["lm_head.weight"] = t["model.embed_tokens.weight"].clone();
  });
  HubCheckpoint checkpoint(folder.path());
  EXPECT_FALSE(checkpoint.has("lm_head.weight"));
  for (const std::string& name : checkpoint.names()) checkpoint.take(name, checkpoint.entry(name).shape);
  EXPECT_NO_THROW(checkpoint.require_all_taken());
}

TEST(HubCheckpoint, HashIsOverTheShardsInNameOrder) {
  const HubCheckpoint checkpoint(golden_checkpoint("qwen2_vl_new"));
  const auto folder = golden_checkpoint("qwen2_vl_new");
  const std::vector<std::filesystem::path> files{folder / "model-00001-of-00003.safetensors",
                                                 folder / "model-00002-of-00003.safetensors",
                                                 folder / "model-00003-of-00003.safetensors"};
  EXPECT_EQ(checkpoint.weights_sha256(), sha256_hex_of_files(files));
  EXPECT_EQ(checkpoint.weights_sha256().size(), 64u);
}

// --- refusals ----------------------------------------------------------------------------------------------

TEST(HubCheckpointRefuses, AMissingTensorAndNamesTheNearest) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_tensors("model.safetensors", [](Tensors& t) { t.erase("model.layers.1.self_attn.k_proj.bias"); });
  HubCheckpoint checkpoint(folder.path());
  const auto message = message_of<DataError>([&] { checkpoint.take("model.layers.1.self_attn.k_proj.bias", {16}); });
  EXPECT_THAT(message, HasSubstr(folder.path().string()));
  EXPECT_THAT(message, HasSubstr("must hold the tensor model.layers.1.self_attn.k_proj.bias; got 25 others"));
  EXPECT_THAT(message, HasSubstr("model.layers.1.self_attn.k_proj.weight"));
}

TEST(HubCheckpointRefuses, SurplusTensorsAndCountsThem) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_tensors("model.safetensors", [](Tensors& t) {
    for (const char* name : {"score.weight", "model.layers.0.self_attn.q_norm.weight", "a", "b"}) t[name] = at::ones(1);
  });
  HubCheckpoint checkpoint(folder.path());
  for (const std::string& name : HubCheckpoint(golden_checkpoint("qwen2_hub")).names())
    checkpoint.take(name, checkpoint.entry(name).shape);
  const auto message = message_of<DataError>([&] { checkpoint.require_all_taken(); });
  EXPECT_THAT(message, HasSubstr(R"(got 4 more: "a", "b", "model.layers.0.self_attn.q_norm.weight", ..;)"));
}

TEST(HubCheckpointRefuses, SurplusTensorsAsTheFileSpellsThem) {
  HubCheckpoint checkpoint(golden_checkpoint("qwen2_vl_new"));
  EXPECT_THAT(message_of<DataError>([&] { checkpoint.require_all_taken(); }),
              HasSubstr(R"(more: "model.language_model.embed_tokens.weight", )"));
}

TEST(HubCheckpointRefuses, AnotherShapeThanTheConfigs) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_json("config.json", [](Json& c) { c["vocab_size"] = 65; });
  HubCheckpoint checkpoint(folder.path());
  const auto message = message_of<ShapeError>([&] { checkpoint.take("model.embed_tokens.weight", {65, 48}); });
  EXPECT_THAT(message, HasSubstr("model.embed_tokens.weight must have shape [65, 48]"));
  EXPECT_THAT(message, HasSubstr("got [64, 48]"));
}

TEST(HubCheckpointRefuses, AnUntiedHeadThatIsNotThere) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_json("config.json", [](Json& c) { c["tie_word_embeddings"] = false; });
  const auto message = message_of<DataError>([&] { HubCheckpoint checkpoint(folder.path()); });
  EXPECT_THAT(message, HasSubstr("untied head"));
  EXPECT_THAT(message, HasSubstr("lm_head.weight; got none"));
}

TEST(HubCheckpointRefuses, AnUntiedHeadOfAnotherShape) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.edit_json("config.json", [](Json& c) { c["tie_word_embeddings"] = false; });
  folder.edit_tensors("model.safetensors", [](Tensors& t) { t["lm_head.weight"] = at::ones({64, 47}); });
  const auto message = message_of<ShapeError>([&] { HubCheckpoint checkpoint(folder.path()); });
  EXPECT_THAT(message, HasSubstr("lm_head.weight must have shape [64, 48]"));
  EXPECT_THAT(message, HasSubstr("got [64, 47]"));
}

TEST(HubCheckpointRefuses, OneTensorInTwoSpellings) {
  const EditableFolder folder(golden_checkpoint("qwen2_vl_hub"));
  folder.edit_tensors("model.safetensors",
                      [](Tensors& t) { t["model.language_model.norm.weight"] = t["model.norm.weight"].clone(); });
  const auto message = message_of<DataError>([&] { HubCheckpoint checkpoint(folder.path()); });
  EXPECT_THAT(message, HasSubstr("model.language_model.norm.weight"));
  EXPECT_THAT(message, HasSubstr("model.norm.weight"));
}

TEST(HubCheckpointRefuses, OtherDtypes) {
  for (const auto dtype : {torch::kFloat64, torch::kInt8, torch::kInt32}) {
    const EditableFolder folder(golden_checkpoint("qwen2_hub"));
    folder.edit_tensors("model.safetensors",
                        [&](Tensors& t) { t["model.norm.weight"] = t["model.norm.weight"].to(dtype); });
    const auto message = message_of<DataError>([&] { HubCheckpoint checkpoint(folder.path()); });
    EXPECT_THAT(message, HasSubstr("must be bfloat16, float16 or float32; got \"model.norm.weight\" in"));
  }
}

TEST(HubCheckpointRefuses, PickledWeightsWithAdvice) {
  const EditableFolder folder(golden_checkpoint("qwen2_hub"));
  folder.remove("model.safetensors");
  folder.write("pytorch_model.bin", "PK");
  EXPECT_THAT(message_of<DataError>([&] { HubCheckpoint checkpoint(folder.path()); }),
              HasSubstr("must be safetensors; got pytorch_model.bin only; convert it"));
}

TEST(HubCheckpointRefuses, AFolderWithoutWeightsOrWithAShardMissing) {
  const EditableFolder empty(golden_checkpoint("qwen2_hub"));
  empty.remove("model.safetensors");
  EXPECT_THAT(message_of<DataError>([&] { HubCheckpoint checkpoint(empty.path()); }), HasSubstr("model.safetensors"));
  const EditableFolder folder(golden_checkpoint("qwen2_vl_new"));
  folder.remove("model-00002-of-00003.safetensors");
  EXPECT_THAT(message_of<DataError>([&] { HubCheckpoint checkpoint(folder.path()); }),
              HasSubstr("model-00002-of-00003.safetensors"));
}

}  // namespace
}  // namespace trireme
