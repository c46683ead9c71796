#include "models/weights/adapter.h"

#include <cmath>
#include <functional>

#include <ATen/ops/ones.h>

#include "core/io/hash.h"
#include "models/linear_modules.h"
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

ModelConfig vl_config() { return read_model_config(golden_checkpoint("qwen2_vl_hub")); }
ModelConfig text_config() { return read_model_config(golden_checkpoint("qwen2_hub")); }
Adapter golden_adapter(const std::string& name) {
  return read_adapter(golden_checkpoint("adapters") / name, name.starts_with("qwen2_vl") ? vl_config() : text_config());
}

// --- what is read ------------------------------------------------------------------------------------------

class AdapterNamings : public testing::TestWithParam<std::pair<const char*, TensorNaming>> {};

TEST_P(AdapterNamings, GiveTheSameModulesAndScales) {
  const auto& [name, naming] = GetParam();
  const Adapter adapter = golden_adapter(name);
  EXPECT_EQ(adapter.naming, naming);
  EXPECT_EQ(adapter.base_model_name, "qwen2_vl_hub");
  EXPECT_EQ(adapter.modules.size(), 2u * 7 + 2 * 2) << "seven per decoder layer, qkv and fc2 per vision block";
  const auto linears = linear_modules(vl_config());
  for (const auto& [path, pair] : adapter.modules) {
    EXPECT_EQ(pair.a.size(1), linears.at(path).in_features) << path;
    EXPECT_EQ(pair.b.size(0), linears.at(path).out_features) << path;
    EXPECT_EQ(pair.a.size(0), pair.b.size(1)) << path;
    EXPECT_EQ(pair.a.scalar_type(), torch::kFloat32);
  }
  const auto scale = [&](const char* path) { return adapter.modules.at(path).scale; };
  EXPECT_DOUBLE_EQ(scale("model.layers.0.self_attn.q_proj"), 8.0 / 4);
  EXPECT_DOUBLE_EQ(scale("model.layers.1.self_attn.q_proj"), 8.0 / 2) << "rank_pattern by whole path";
  EXPECT_DOUBLE_EQ(scale("model.layers.1.mlp.down_proj"), 8.0 / 3) << "rank_pattern by the end of the path";
  EXPECT_DOUBLE_EQ(scale("model.layers.1.self_attn.k_proj"), 12.0 / 4) << "alpha_pattern by regex";
  EXPECT_DOUBLE_EQ(scale("visual.blocks.0.attn.qkv"), 1.0 / 4);
  EXPECT_DOUBLE_EQ(scale("visual.blocks.1.attn.qkv"), 8.0 / 4);
  EXPECT_EQ(adapter.modules.at("model.layers.1.self_attn.q_proj").rank(), 2);
  EXPECT_TRUE(adapter.modules.at("visual.blocks.1.mlp.fc2")
                  .a.equal(golden_adapter("qwen2_vl_modern").modules.at("visual.blocks.1.mlp.fc2").a));
}

INSTANTIATE_TEST_SUITE_P(Golden, AdapterNamings,
                         testing::Values(std::pair{"qwen2_vl_legacy", TensorNaming::kOld},
                                         std::pair{"qwen2_vl_modern", TensorNaming::kNew},
                                         std::pair{"qwen2_vl_base_model", TensorNaming::kBaseModel}));

TEST(Adapter, RankStabilisedScaleIsAlphaBySquareRoot) {
  const Adapter adapter = golden_adapter("qwen2_rslora");
  EXPECT_TRUE(adapter.rslora);
  EXPECT_EQ(adapter.modules.size(), 2u * 3) << "a regex: q, v and down of two layers";
  for (const auto& [path, pair] : adapter.modules) {
    EXPECT_DOUBLE_EQ(pair.scale, 6.0 / 2) << path;
    EXPECT_EQ(pair.alpha, 6);
  }
}

TEST(Adapter, HashIsOfTheTensorFile) {
  const std::vector files{golden_checkpoint("adapters") / "qwen2_rslora" / "adapter_model.safetensors"};
  EXPECT_EQ(golden_adapter("qwen2_rslora").sha256, sha256_hex_of_files(files));
}

/// A change to one of the golden adapters, and what comes of reading it.
struct Edited {
  const char* name = "qwen2_vl_legacy";
  std::function<void(Json&)> config = [](Json&) {};
  std::function<void(Tensors&)> tensors = [](Tensors&) {};

  Adapter read() const {
    const EditableFolder folder(golden_checkpoint("adapters") / name);
    folder.edit_json("adapter_config.json", config);
    folder.edit_tensors("adapter_model.safetensors", tensors);
    return read_adapter(folder.path(), std::string(name).starts_with("qwen2_vl") ? vl_config() : text_config());
  }
  template <class Kind = DataError>
  std::string refusal() const {
    return message_of<Kind>([&] { read(); });
  }
};

const std::string kBlock = "base_model.model.visual.blocks.0.attn.qkv";
const std::string kQuery = "base_model.model.model.layers.0.self_attn.q_proj";

TEST(Adapter, FileDecidesWhichLayersAndTargetsMayBeAllLinear) {
  const Edited edited{.config = [](Json& c) { c["target_modules"] = "all-linear"; },
                      .tensors =
                          [](Tensors& t) {
                            std::erase_if(t,
                                          [](const auto& e) { return e.first.find("layers.1.") != std::string::npos; });
                          }};
  EXPECT_EQ(edited.read().modules.size(), 7u + 2 * 2);
}

TEST(Adapter, TextModelsInBaseModelNamingAreRead) {
  const Edited edited{.name = "qwen2_rslora", .tensors = [](Tensors& t) {
                        Tensors renamed;
                        for (const auto& [name, tensor] : t)
                          renamed["base_model.model." + name.substr(std::string("base_model.model.model.").size())] =
                              tensor;
                        t = renamed;
                      }};
  // `.*\.(q_proj|v_proj|down_proj)` matches layers.0.self_attn.q_proj as well.
  const Adapter adapter = edited.read();
  EXPECT_EQ(adapter.naming, TensorNaming::kBaseModel);
  EXPECT_TRUE(adapter.modules.contains("model.layers.1.mlp.down_proj"));
}

TEST(Adapter, UnknownOptionThatIsOffIsTolerated) {
  const Edited edited{.config = [](Json& c) {
    c["use_next_years_idea"] = false;
    c["next_years_list"] = Json::array();
    c["next_years_object"] = nullptr;
  }};
  EXPECT_EQ(edited.read().modules.size(), 18u);
}

TEST(Adapter, HalfPrecisionIsKeptAsStored) {
  const Edited edited{.tensors = [](Tensors& t) {
    for (auto& [name, tensor] : t) tensor = tensor.to(torch::kBFloat16);
  }};
  EXPECT_EQ(edited.read().modules.begin()->second.b.scalar_type(), torch::kBFloat16);
}

TEST(Adapter, LayersToTransformLimitsTheTargets) {
  const auto only_layer_one = [](Tensors& t) {
    std::erase_if(t, [](const auto& e) { return e.first.find("layers.1.") == std::string::npos; });
  };
  const auto config = [](Json& c) {
    c["target_modules"] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    c["layers_to_transform"] = {1};
  };
  EXPECT_EQ((Edited{.config = config, .tensors = only_layer_one}.read().modules.size()), 7u);
  EXPECT_THAT((Edited{.config = config}.refusal()), HasSubstr("must be selected by target_modules"));
}

// --- refusals: adapter_config.json -------------------------------------------------------------------------

struct Option {
  const char *key, *value;  ///< JSON
  std::vector<const char*> said;
};

void PrintTo(const Option& option, std::ostream* out) { *out << option.key << " = " << option.value; }

class AdapterRefusesOption : public testing::TestWithParam<Option> {};

TEST_P(AdapterRefusesOption, ByName) {
  const Option& option = GetParam();
  const auto message = Edited{.config = [&](Json& c) { c[option.key] = Json::parse(option.value); }}.refusal();
  EXPECT_THAT(message, HasSubstr("adapter_config.json]"));
  EXPECT_THAT(message, HasSubstr(option.key));
  for (const char* part : option.said) EXPECT_THAT(message, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(
    Peft, AdapterRefusesOption,
    testing::Values(Option{"peft_type", "\"LOHA\"", {"\"LORA\"", "\"LOHA\""}},
                    Option{"peft_type", "null", {"must be given"}},
                    Option{"use_dora", "true", {"DoRA is not supported"}},
                    Option{"lora_bias", "true", {"bias is not supported"}},
                    Option{"bias", "\"lora_only\"", {"\"none\"", "\"lora_only\""}},
                    Option{"fan_in_fan_out", "true", {"transposed"}},
                    Option{"modules_to_save", "[\"embed_tokens\"]", {"embed_tokens", "merge"}},
                    Option{"layer_replication", "[[0, 2], [1, 2]]", {"replicated"}},
                    Option{"trainable_token_indices", "[1, 2]", {"[1,2]"}},
                    Option{"target_parameters", "[\"mlp.experts.down_proj\"]", {"bare parameters"}},
                    Option{"init_lora_weights", "\"pissa_niter_4\"", {"pissa_niter_4"}},
                    Option{"use_next_years_idea", "true", {"\"use_next_years_idea\" = true"}},
                    Option{"alora_invocation_tokens", "[1]", {"\"alora_invocation_tokens\" = [1]"}},
                    Option{"r", "0", {"r must be in"}}, Option{"r", "\"four\"", {"r must be an integer", "\"four\""}},
                    Option{"r", "null", {"must be given"}}, Option{"lora_alpha", "null", {"must be given"}},
                    Option{"target_modules", "7", {"list of strings"}},
                    Option{"target_modules", "\".*(q_proj\"", {"regular expression", ".*(q_proj"}},
                    Option{"rank_pattern", "{\"q_proj\": \"two\"}", {"rank_pattern.q_proj must be an integer"}},
                    Option{"rank_pattern", "{\"[\": 2}", {"regular expression"}}));

TEST(AdapterRefuses, MissingOrPickledFiles) {
  const ModelConfig config = vl_config();
  EXPECT_THAT(message_of<DataError>([&] { read_adapter("/no/such/adapter", config); }), HasSubstr("/no/such/adapter"));
  const EditableFolder folder(golden_checkpoint("adapters") / "qwen2_vl_legacy");
  folder.remove("adapter_model.safetensors");
  EXPECT_THAT(message_of<DataError>([&] { read_adapter(folder.path(), config); }),
              HasSubstr("must hold adapter_model.safetensors"));
  folder.write("adapter_model.bin", "PK");
  EXPECT_THAT(message_of<DataError>([&] { read_adapter(folder.path(), config); }),
              HasSubstr("safe_serialization=True"));
  folder.remove("adapter_config.json");
  EXPECT_THAT(message_of<DataError>([&] { read_adapter(folder.path(), config); }),
              HasSubstr("must hold adapter_config.json"));
}

// --- refusals: the tensors ---------------------------------------------------------------------------------

TEST(AdapterRefuses, OtherKindsOfTensorsByName) {
  const std::vector<std::pair<std::string, const char*>> cases{
      {"base_model.model.model.embed_tokens.lora_embedding_A", "LoRA on embeddings"},
      {kQuery + ".lora_magnitude_vector", "DoRA"},
      {kQuery + ".lora_B.bias", "with a bias"},
      {"base_model.model.lm_head.modules_to_save.weight", "modules_to_save"},
      {"base_model.model.lm_head.weight", "modules_to_save"},
      {"base_model.model.score.weight", "modules_to_save"},
      {"model.layers.0.self_attn.q_proj.lora_A.weight", "must be named base_model.model."},
      {"logit_scale", "must be named base_model.model."}};
  for (const auto& [name, reason] : cases) {
    const auto message = Edited{.tensors = [&](Tensors& t) { t[name] = at::ones({4, 32}); }}.refusal();
    EXPECT_THAT(message, HasSubstr("got \"" + name + "\""));
    EXPECT_THAT(message, HasSubstr(reason));
  }
}

TEST(AdapterRefuses, HalfAPair) {
  const auto without = [](const std::string& name) {
    return Edited{.tensors = [name](Tensors& t) { t.erase(name); }}.refusal();
  };
  EXPECT_THAT(without(kQuery + ".lora_B.weight"), HasSubstr("q_proj.lora_A.weight\" without lora_B"));
  EXPECT_THAT(without(kQuery + ".lora_A.weight"), HasSubstr("q_proj.lora_B.weight\" without lora_A"));
}

TEST(AdapterRefuses, AnAdapterThatMatchesNoModule) {
  const auto rename = [](Tensors& t) {
    Tensors renamed;
    for (const auto& [name, tensor] : t) renamed["base_model.model.transformer." + name.substr(17)] = tensor;
    t = renamed;
  };
  const auto message = Edited{.tensors = rename}.refusal();
  EXPECT_THAT(message, HasSubstr("must match at least one linear layer"));
  EXPECT_THAT(message, HasSubstr("18 modules (\"transformer."));
  EXPECT_THAT(Edited{.tensors = [](Tensors& t) { t.clear(); }}.refusal(), HasSubstr("matches no module"));
}

TEST(AdapterRefuses, AVisionAdapterOnATextModel) {
  const EditableFolder folder(golden_checkpoint("adapters") / "qwen2_vl_legacy");
  folder.edit_tensors("adapter_model.safetensors", [](Tensors& t) {
    std::erase_if(t, [](const auto& e) { return e.first.find("visual") == std::string::npos; });
  });
  const auto message = message_of<DataError>([&] { read_adapter(folder.path(), text_config()); });
  EXPECT_THAT(message, HasSubstr("visual.blocks.0."));
  EXPECT_THAT(message, HasSubstr("none in this qwen2 model"));
}

TEST(AdapterRefuses, AModuleThatTheModelLacks) {
  const auto deeper = [](Tensors& t) {
    t["base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight"] = at::ones({4, 32});
    t["base_model.model.model.layers.2.self_attn.q_proj.lora_B.weight"] = at::ones({32, 4});
  };
  const auto message = Edited{.tensors = deeper}.refusal();
  EXPECT_THAT(message, HasSubstr("model.layers.2.self_attn.q_proj"));
  EXPECT_THAT(message, HasSubstr("2 layers"));
}

TEST(AdapterRefuses, AnAdapterForAnotherBaseNamingModuleAndBothShapes) {
  const EditableFolder base(golden_checkpoint("qwen2_hub"));
  base.edit_json("config.json", [](Json& c) { c["intermediate_size"] = 60; });
  const auto message = message_of<ShapeError>(
      [&] { read_adapter(golden_checkpoint("adapters") / "qwen2_rslora", read_model_config(base.path())); });
  EXPECT_THAT(message, HasSubstr("mlp.down_proj must fit its weight [48, 60]"));
  EXPECT_THAT(message, HasSubstr("A [4, 56] and B [48, 4]"));
  EXPECT_THAT(message, HasSubstr("another base (\"qwen2_hub\")"));
}

TEST(AdapterRefuses, PairsOfDifferentRanks) {
  const auto message = Edited{.tensors = [](Tensors& t) {
                         t[kBlock + ".lora_A.weight"] = at::ones({3, 16});
                       }}.refusal<ShapeError>();
  EXPECT_THAT(message, HasSubstr("visual.blocks.0.attn.qkv\" must have one rank; got A [3, 16] and B [48, 4]"));
}

TEST(AdapterRefuses, ARankThatTheConfigDoesNotSay) {
  const auto message = Edited{.config = [](Json& c) { c["rank_pattern"] = Json::object(); }}.refusal();
  EXPECT_THAT(message, HasSubstr("must be 4 as adapter_config.json says"));
  EXPECT_THAT(message, HasSubstr("got A [3, "));
}

TEST(AdapterRefuses, ModulesOutsideTheTargets) {
  const auto selected_by = [](const Json& targets) {
    return Edited{.config = [&](Json& c) { c["target_modules"] = targets; }}.refusal();
  };
  EXPECT_THAT(
      selected_by(Json::array({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "fc2"})),
      HasSubstr("selected by target_modules of adapter_config.json; got \"visual.blocks.0.attn.qkv"));
  EXPECT_THAT(selected_by("model\\..*_proj"), HasSubstr("got \"visual.blocks.0."));
  EXPECT_THAT(Edited{.config = [](Json& c) { c["exclude_modules"] = {"fc2"}; }}.refusal(), HasSubstr("mlp.fc2"));
  EXPECT_THAT(Edited{.config = [](Json& c) { c["exclude_modules"] = ".*layers\\.1\\..*"; }}.refusal(),
              HasSubstr("model.layers.1."));
}

TEST(AdapterRefuses, TargetsWithoutTensors) {
  const auto message = Edited{.tensors = [](Tensors& t) {
                         std::erase_if(t, [](const auto& e) { return e.first.find("v_proj") != std::string::npos; });
                       }}.refusal();
  EXPECT_THAT(message, HasSubstr("got none for \"v_proj\" (model.layers.0.self_attn.v_proj)"));
}

TEST(Adapter, TargetsThatTheModelLacksAreNoContradiction) {
  const Edited edited{.config = [](Json& c) { c["target_modules"].push_back("c_attn"); }};
  EXPECT_EQ(edited.read().modules.size(), 18u);
}

TEST(AdapterRefuses, OneModuleInTwoSpellings) {
  const auto twice = [](Tensors& t) {
    for (const char* half : {".lora_A.weight", ".lora_B.weight"})
      t["base_model.model.model.language_model.layers.0.self_attn.q_proj" + std::string(half)] =
          t[kQuery + half].clone();
  };
  EXPECT_THAT(Edited{.tensors = twice}.refusal(), HasSubstr("model.layers.0.self_attn.q_proj in two spellings"));
}

TEST(AdapterRefuses, OtherDtypes) {
  const auto message = Edited{.tensors = [](Tensors& t) {
                         t[kQuery + ".lora_A.weight"] = t[kQuery + ".lora_A.weight"].to(torch::kFloat64);
                       }}.refusal();
  EXPECT_THAT(message, HasSubstr("q_proj.lora_A.weight\" in float64"));
}

}  // namespace
}  // namespace trireme
