#include "models/model_config.h"

#include <functional>

#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::EditableFolder;
using test::golden_checkpoint;
using test::message_of;
using testing::HasSubstr;
using Json = EditableFolder::Json;

ModelConfig config_with(const std::string& name, const std::function<void(Json&)>& edit) {
  const EditableFolder folder(golden_checkpoint(name));
  folder.edit_json("config.json", edit);
  return read_model_config(folder.path());
}

std::string refusal(const std::string& name, const std::function<void(Json&)>& edit) {
  return message_of<DataError>([&] { config_with(name, edit); });
}

// --- what is read ------------------------------------------------------------------------------------------

TEST(ModelConfig, ReadsTheHubsFlatQwen2Vl) {
  const ModelConfig config = read_model_config(golden_checkpoint("qwen2_vl_hub"));
  EXPECT_EQ(config.family, ModelFamily::kQwen2Vl);
  EXPECT_EQ(config.dtype, "float32");
  const DecoderConfig& d = config.decoder;
  EXPECT_EQ(d.vocab_size, 64);
  EXPECT_EQ(d.hidden_size, 32);
  EXPECT_EQ(d.intermediate_size, 48);
  EXPECT_EQ(d.layers, 2);
  EXPECT_EQ(d.heads, 2);
  EXPECT_EQ(d.kv_heads, 1);
  EXPECT_EQ(d.head_dim, 16);
  EXPECT_EQ(d.rms_norm_eps, 1e-6);
  EXPECT_EQ(d.rope_theta, 1e6);
  EXPECT_EQ(d.mrope_section, (std::vector<int64_t>{2, 3, 3}));
  EXPECT_TRUE(d.tie_word_embeddings);
  ASSERT_TRUE(config.vision.has_value());
  const VisionConfig& v = *config.vision;
  EXPECT_EQ(v.depth, 2);
  EXPECT_EQ(v.embed_dim, 16);
  EXPECT_EQ(v.heads, 1);
  EXPECT_EQ(v.in_channels, 3);
  EXPECT_EQ(v.out_hidden_size, 32);
  EXPECT_EQ(v.intermediate_size, 32) << "embed_dim * mlp_ratio";
  EXPECT_EQ(v.window_size, 0);
  EXPECT_EQ(v.activation, "quick_gelu");
  EXPECT_EQ(config.image_token_id, 62);
  EXPECT_EQ(config.video_token_id, 63);
  EXPECT_EQ(config.vision_start_token_id, 60);
  EXPECT_EQ(config.vision_end_token_id, 61);
}

TEST(ModelConfig, ReadsTheNestedQwen2VlOfTransformers5) {
  const ModelConfig config = read_model_config(golden_checkpoint("qwen2_vl_new"));
  EXPECT_EQ(config.family, ModelFamily::kQwen2Vl);
  EXPECT_EQ(config.dtype, "bfloat16");
  EXPECT_EQ(config.decoder.hidden_size, 48);
  EXPECT_EQ(config.decoder.heads, 6);
  EXPECT_EQ(config.decoder.kv_heads, 1);
  EXPECT_EQ(config.decoder.rope_theta, 1e4) << "inside rope_parameters";
  EXPECT_EQ(config.decoder.mrope_section, (std::vector<int64_t>{2, 1, 1}));
  EXPECT_FALSE(config.decoder.tie_word_embeddings);
  EXPECT_EQ(config.vision->patch_size, 4);
  EXPECT_EQ(config.vision->intermediate_size, 192);
}

TEST(ModelConfig, ReadsQwen25VlWithItsWindows) {
  const ModelConfig config = read_model_config(golden_checkpoint("qwen2_5_vl_hub"));
  EXPECT_EQ(config.family, ModelFamily::kQwen25Vl);
  EXPECT_EQ(config.vision->embed_dim, 16);
  EXPECT_EQ(config.vision->out_hidden_size, 32);
  EXPECT_EQ(config.vision->intermediate_size, 20);
  EXPECT_EQ(config.vision->window_size, 56);
  EXPECT_EQ(config.vision->full_attention_blocks, (std::vector<int64_t>{1}));
  EXPECT_EQ(config.vision->activation, "silu");
}

TEST(ModelConfig, ReadsTextOnlyQwen2) {
  const ModelConfig config = read_model_config(golden_checkpoint("qwen2_hub"));
  EXPECT_EQ(config.family, ModelFamily::kQwen2);
  EXPECT_FALSE(config.vision.has_value());
  EXPECT_TRUE(config.decoder.mrope_section.empty());
  EXPECT_EQ(config.decoder.head_dim, 8);
}

TEST(ModelConfig, Qwen2MayGiveItsOwnHeadDim) {
  EXPECT_EQ(config_with("qwen2_hub", [](Json& c) { c["head_dim"] = 32; }).decoder.head_dim, 32);
}

TEST(ModelConfig, NullKvHeadsMeanOnePerQueryHead) {
  EXPECT_EQ(config_with("qwen2_hub", [](Json& c) { c["num_key_value_heads"] = nullptr; }).decoder.kv_heads, 6);
}

TEST(ModelConfig, TiedHeadInsideTextConfigCounts) {
  const auto edit = [](Json& c) { c["text_config"]["tie_word_embeddings"] = true; };
  EXPECT_TRUE(config_with("qwen2_vl_new", edit).decoder.tie_word_embeddings);
}

TEST(ModelConfig, NewerDtypeNameWins) {
  EXPECT_EQ(config_with("qwen2_hub", [](Json& c) { c["dtype"] = "bfloat16"; }).dtype, "bfloat16");
}

// Fine-tuned checkpoints saved by transformers 4 say only what differs from the class, as in this vision_config.
TEST(ModelConfig, Transformers4LeavesVisionDefaultsOut) {
  const ModelConfig config = config_with("qwen2_vl_hub", [](Json& c) {
    c["hidden_size"] = 3584;
    c["num_attention_heads"] = 28;
    c["num_key_value_heads"] = 4;
    c["rope_scaling"]["mrope_section"] = {16, 24, 24};
    c["transformers_version"] = "4.45.0.dev0";
    c["vision_config"] = {{"in_chans", 3}, {"model_type", "qwen2_vl"}, {"spatial_patch_size", 14}};
  });
  EXPECT_EQ(config.vision->depth, 32);
  EXPECT_EQ(config.vision->embed_dim, 1280);
  EXPECT_EQ(config.vision->heads, 16);
  EXPECT_EQ(config.vision->intermediate_size, 5120);
  EXPECT_EQ(config.vision->out_hidden_size, 3584);
  EXPECT_EQ(config.vision->patch_size, 14);
}

TEST(ModelConfig, Transformers4LeavesNestedTextDefaultsOut) {
  const ModelConfig config = config_with("qwen2_vl_new", [](Json& c) {
    c["transformers_version"] = "4.55.0";
    c["text_config"].erase("vocab_size");
    c["text_config"].erase("rms_norm_eps");
  });
  EXPECT_EQ(config.decoder.vocab_size, 152'064);
  EXPECT_EQ(config.decoder.rms_norm_eps, 1e-5);
}

TEST(ModelConfig, MissingMropeSectionIsTheDefaultOfTransformers) {
  const ModelConfig config = config_with("qwen2_vl_new", [](Json& c) {
    c["text_config"]["hidden_size"] = 768;
    c["vision_config"]["hidden_size"] = 768;
    c["text_config"]["rope_parameters"].erase("mrope_section");
  });
  EXPECT_EQ(config.decoder.mrope_section, (std::vector<int64_t>{16, 24, 24}));
}

// --- what is refused ---------------------------------------------------------------------------------------

TEST(ModelConfigRefuses, AFolderThatIsNotThere) {
  const auto message = message_of<DataError>([] { read_model_config("/no/such/folder"); });
  EXPECT_THAT(message, HasSubstr("/no/such/folder"));
}

TEST(ModelConfigRefuses, AFolderWithoutConfigAndSaysWhenItIsAnAdapter) {
  const test::TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { read_model_config(folder.path()); }), HasSubstr("must hold config.json"));
  folder.write("adapter_config.json", "{}");
  EXPECT_THAT(message_of<DataError>([&] { read_model_config(folder.path()); }), HasSubstr("an adapter, not a model"));
}

std::string refusal_of_text(const std::string& text) {
  const test::TempFolder folder;
  folder.write("config.json", text);
  return message_of<DataError>([&] { read_model_config(folder.path()); });
}

TEST(ModelConfigRefuses, WhatIsNotJson) {
  EXPECT_THAT(refusal_of_text("{\"model_type\": "), HasSubstr("config.json] the file must be JSON"));
  EXPECT_THAT(refusal_of_text(""), HasSubstr("must be JSON"));
  EXPECT_THAT(refusal_of_text("{\"model_type\": \"\xff\"}"), HasSubstr("must be JSON"));
  EXPECT_THAT(refusal_of_text("[1, 2]"), HasSubstr("must hold a JSON object; got array"));
}

TEST(ModelConfigRefuses, JsonBombs) {
  EXPECT_THAT(refusal_of_text(std::string(1'000'000, '[')), HasSubstr("must not nest deeper than 64 levels"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal_of_text(objects), HasSubstr("must not nest deeper than 64 levels"));
  std::string wide = "{";
  for (int i = 0; i < 100'000; ++i) wide += fmt::format("\"{}\":0,", i);
  EXPECT_THAT(refusal_of_text(wide + "\"a\":0}"), HasSubstr("at most 10000 fields"));
}

TEST(ModelConfigRefuses, UnknownModelTypesAndListsTheKnown) {
  const auto message = refusal("qwen2_hub", [](Json& c) { c["model_type"] = "llama"; });
  EXPECT_THAT(message, HasSubstr("qwen2, qwen2_vl, qwen2_5_vl"));
  EXPECT_THAT(message, HasSubstr("\"llama\""));
  EXPECT_THAT(refusal("qwen2_hub", [](Json& c) { c.erase("model_type"); }), HasSubstr("model_type must be given"));
}

struct Case {
  const char* checkpoint;
  const char* section;  ///< "" or a nested object
  const char* field;
  const char* value;  ///< JSON; "" removes the field
  std::vector<const char*> said;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.section << "." << c.field << " = " << c.value; }

class ModelConfigRefusesField : public testing::TestWithParam<Case> {};

TEST_P(ModelConfigRefusesField, NamingFileFieldAndValues) {
  const Case& c = GetParam();
  const std::string message = refusal(c.checkpoint, [&](Json& config) {
    Json& section = *c.section ? config[c.section] : config;
    if (*c.value)
      section[c.field] = Json::parse(c.value);
    else
      section.erase(c.field);
  });
  EXPECT_THAT(message, HasSubstr("config.json]"));
  for (const char* part : c.said) EXPECT_THAT(message, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(
    Missing, ModelConfigRefusesField,
    testing::Values(Case{"qwen2_hub", "", "hidden_size", "", {"hidden_size must be given", "got nothing"}},
                    Case{"qwen2_hub", "", "num_hidden_layers", "", {"num_hidden_layers must be given"}},
                    Case{"qwen2_hub", "", "num_key_value_heads", "", {"num_key_value_heads must be given"}},
                    Case{"qwen2_hub", "", "rms_norm_eps", "", {"rms_norm_eps must be given"}},
                    Case{"qwen2_hub", "", "rope_theta", "", {"rope_theta must be given"}},
                    Case{"qwen2_vl_new", "text_config", "vocab_size", "", {"text_config.vocab_size must be given"}},
                    Case{"qwen2_vl_new", "vision_config", "depth", "", {"vision_config.depth must be given"}},
                    Case{"qwen2_vl_hub", "", "vision_config", "", {"vision_config must be given"}},
                    Case{"qwen2_vl_hub", "", "image_token_id", "", {"image_token_id", "vocab_size 64"}}));

INSTANTIATE_TEST_SUITE_P(
    WrongType, ModelConfigRefusesField,
    testing::Values(Case{"qwen2_hub", "", "hidden_size", "\"48\"", {"hidden_size must be an integer", "got \"48\""}},
                    Case{"qwen2_hub", "", "hidden_size", "48.5", {"hidden_size must be an integer", "got 48.5"}},
                    Case{"qwen2_hub", "", "hidden_size", "true", {"hidden_size must be an integer"}},
                    Case{"qwen2_hub", "", "hidden_size", "-48", {"hidden_size must be in 1..", "got -48"}},
                    Case{"qwen2_hub", "", "hidden_size", "9223372036854775807", {"hidden_size must be in 1.."}},
                    Case{"qwen2_hub", "", "hidden_size", "18446744073709551615", {"hidden_size must be an integer"}},
                    Case{"qwen2_hub", "", "num_hidden_layers", "1000000", {"num_hidden_layers must be in 1..4096"}},
                    Case{"qwen2_hub", "", "rms_norm_eps", "\"small\"", {"rms_norm_eps must be a number"}},
                    Case{"qwen2_hub", "", "rms_norm_eps", "0", {"rms_norm_eps must be above 0"}},
                    Case{"qwen2_hub", "", "tie_word_embeddings", "1", {"tie_word_embeddings must be true or false"}},
                    Case{"qwen2_hub", "", "model_type", "7", {"model_type must be a string", "got 7"}},
                    Case{"qwen2_vl_new", "", "text_config", "[]", {"text_config must be an object"}},
                    Case{"qwen2_vl_hub", "vision_config", "patch_size", "[14, 7]", {"vision_config.patch_size"}},
                    Case{"qwen2_5_vl_hub",
                         "vision_config",
                         "fullatt_block_indexes",
                         "[\"a\"]",
                         {"fullatt_block_indexes must be a list of integers"}}));

INSTANTIATE_TEST_SUITE_P(
    Contradiction, ModelConfigRefusesField,
    testing::Values(
        Case{"qwen2_hub", "", "num_attention_heads", "7", {"multiple of num_attention_heads", "48 and 7"}},
        Case{"qwen2_hub", "", "num_key_value_heads", "4", {"num_key_value_heads must divide", "4 and 6"}},
        Case{"qwen2_hub", "", "head_dim", "7", {"head_dim must be even", "got 7"}},
        Case{"qwen2_vl_hub",
             "",
             "head_dim",
             "8",
             {"head_dim * num_attention_heads must equal hidden_size", "8 * 2 and 32"}},
        Case{"qwen2_vl_hub",
             "rope_scaling",
             "mrope_section",
             "[2, 3, 4]",
             {"rope_scaling.mrope_section", "[2, 3, 4]", "head_dim 16"}},
        Case{"qwen2_vl_hub", "rope_scaling", "mrope_section", "[4, 4]", {"three sections", "got 2"}},
        Case{"qwen2_vl_hub", "rope_scaling", "mrope_section", "[-1, 4, 5]", {"mrope_section", "[-1, 4, 5]"}},
        Case{"qwen2_vl_hub", "rope_scaling", "mrope_section", "", {"by default [16, 24, 24]", "head_dim 16"}},
        Case{"qwen2_vl_hub", "rope_scaling", "rope_theta", "500.0", {"must agree", "1000000 and 500"}},
        Case{"qwen2_vl_hub", "vision_config", "hidden_size", "64", {"vision_config.hidden_size", "64 and 32"}},
        Case{"qwen2_5_vl_hub", "vision_config", "out_hidden_size", "16", {"out_hidden_size must equal", "16 and 32"}},
        Case{"qwen2_vl_hub", "vision_config", "num_heads", "16", {"embed_dim / num_heads", "16 / 16"}},
        Case{"qwen2_vl_hub", "vision_config", "num_heads", "3", {"embed_dim / num_heads", "16 / 3"}},
        Case{"qwen2_vl_hub", "vision_config", "in_chans", "4", {"in_chans", "4 and 3"}},
        Case{"qwen2_5_vl_hub", "vision_config", "fullatt_block_indexes", "[1, 3]", {"below depth", "3 and 3"}},
        Case{"qwen2_5_vl_hub", "vision_config", "window_size", "14", {"window_size", "28 pixels", "got 14"}},
        Case{"qwen2_vl_hub", "", "image_token_id", "64", {"image_token_id", "64 and vocab_size 64"}}));

INSTANTIATE_TEST_SUITE_P(
    Unsupported, ModelConfigRefusesField,
    testing::Values(
        Case{"qwen2_hub", "", "use_sliding_window", "true", {"use_sliding_window must be off", "got true"}},
        Case{"qwen2_vl_new", "text_config", "use_sliding_window", "true", {"text_config.use_sliding_window"}},
        Case{"qwen2_vl_new",
             "text_config",
             "layer_types",
             "[\"full_attention\", \"sliding_attention\"]",
             {"layer_types", "sliding_attention"}},
        Case{"qwen2_hub", "", "is_causal", "false", {"is_causal must be true"}},
        Case{"qwen2_hub", "", "hidden_act", "\"gelu\"", {"hidden_act must be \"silu\"", "\"gelu\""}},
        Case{"qwen2_vl_hub", "vision_config", "hidden_act", "\"gelu\"", {"vision_config.hidden_act", "quick_gelu"}},
        Case{"qwen2_hub",
             "",
             "quantization_config",
             "{\"quant_method\": \"awq\", \"bits\": 4}",
             {"quantization_config must be off", "awq"}},
        Case{"qwen2_hub",
             "",
             "rope_scaling",
             "{\"type\": \"yarn\", \"factor\": 4.0}",
             {"rope_scaling.type", "\"yarn\""}},
        Case{"qwen2_hub", "", "rope_scaling", "{\"rope_type\": \"dynamic\", \"factor\": 4.0}", {"\"dynamic\""}},
        Case{"qwen2_hub", "", "rope_scaling", "{\"type\": \"mrope\"}", {"rope_scaling.type", "\"mrope\""}},
        Case{"qwen2_vl_new",
             "text_config",
             "rope_parameters",
             "{\"rope_type\": \"linear\", \"rope_theta\": 1e4, \"mrope_section\": [2, 1, 1]}",
             {"text_config.rope_parameters.rope_type", "\"linear\""}},
        Case{"qwen2_hub", "", "partial_rotary_factor", "0.5", {"partial_rotary_factor must be 1"}},
        Case{"qwen2_vl_new",
             "vision_config",
             "rope_parameters",
             "{\"rope_type\": \"axial\", \"rope_theta\": 500.0}",
             {"vision_config.rope_parameters", "500"}}));

}  // namespace
}  // namespace trireme
