#include "models/weights/adapter.h"

#include <cmath>
#include <functional>

#include <ATen/ops/empty.h>
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
    EXPECT_EQ(pair.b.size(0), linears.at(path).rows) << path;
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

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// The golden adapter with its tensors renamed.
Adapter renamed_adapter(const std::function<std::string(const std::string&)>& rename) {
  return Edited{.name = "qwen2_vl_modern",
                .tensors =
                    [&](Tensors& t) {
                      Tensors renamed;
                      for (const auto& [name, tensor] : t) renamed[rename(name)] = tensor;
                      t = renamed;
                    }}
      .read();
}

TEST(Adapter, EverySpellingOfItsTensorsMeansTheSame) {
  const Adapter as_saved = golden_adapter("qwen2_vl_modern");
  const std::string prefix = "base_model.model.";
  const auto named = [](const char* adapter) {
    return [adapter](const std::string& name) { return name.substr(0, name.rfind('.')) + "." + adapter + ".weight"; };
  };
  const std::vector<std::pair<const char*, std::function<std::string(const std::string&)>>> spellings{
      {"a plain state_dict", named("default")},
      {"with a name of the user's", named("stage_2")},
      {"a name that is a number", named("0")},
      {"transformers without save_peft_format", [&](const std::string& name) { return name.substr(prefix.size()); }},
      {"a compiled base", [&](const std::string& name) { return prefix + "_orig_mod." + name.substr(prefix.size()); }},
      {"FSDP",
       [&](const std::string& name) { return replaced(name, ".self_attn.", "._fsdp_wrapped_module.self_attn."); }},
  };
  for (const auto& [what, rename] : spellings) {
    const Adapter adapter = renamed_adapter(rename);
    ASSERT_EQ(adapter.modules.size(), as_saved.modules.size()) << what;
    for (const auto& [path, pair] : as_saved.modules) {
      EXPECT_TRUE(adapter.modules.at(path).a.equal(pair.a) && adapter.modules.at(path).b.equal(pair.b)) << what << path;
      EXPECT_EQ(adapter.modules.at(path).scale, pair.scale) << what << path;
    }
  }
}

TEST(AdapterRefuses, TensorsOfTwoAdapters) {
  const auto message = Edited{.tensors = [](Tensors& t) {
                         for (const char* half : {"A", "B"})
                           t[kQuery + ".lora_" + half + ".other.weight"] =
                               t[kQuery + ".lora_" + half + ".weight"].clone();
                       }}.refusal();
  EXPECT_THAT(message, HasSubstr("must be of one adapter"));
  EXPECT_THAT(message, HasSubstr("\"other\""));
}

TEST(Adapter, LeavesTheBaseAloneAtLoadUnlessItsInitialisationChangesIt) {
  for (const char* init : {"true", "false", "\"gaussian\"", "\"Gaussian\"", "\"eva\"", "\"orthogonal\"", "\"mica\""}) {
    const Edited edited{.config = [&](Json& c) { c["init_lora_weights"] = Json::parse(init); }};
    EXPECT_EQ(edited.read().modules.size(), 18u) << init;
  }
}

TEST(Adapter, TellsTheDropoutOfItsTraining) {
  EXPECT_EQ((Edited{.config = [](Json& c) { c["lora_dropout"] = 0.25; }}.read().dropout), 0.25);
  EXPECT_EQ((Edited{.config = [](Json& c) { c.erase("lora_dropout"); }}.read().dropout), 0);
}

// --- LoRA on the head and on the convolution, as PEFT saves it ----------------------------------------------

constexpr const char* kConvolution = "base_model.model.model.visual.patch_embed.proj";

TEST(Adapter, TakesTheConvolutionAndTheCopyOfTheHead) {
  const Adapter adapter = golden_adapter("qwen2_vl_proj");
  const LoraPair& pair = adapter.modules.at("visual.patch_embed.proj");
  EXPECT_EQ(pair.a.sizes(), (at::IntArrayRef{3, 3 * 2 * 14 * 14}));
  EXPECT_EQ(pair.b.sizes(), (at::IntArrayRef{16, 3}));
  EXPECT_TRUE(adapter.modules.contains("lm_head"));
  ASSERT_EQ(adapter.base_copies.size(), 1u);
  EXPECT_EQ(adapter.base_copies.at("lm_head.weight").sizes(), (at::IntArrayRef{64, 32}));
}

TEST(AdapterRefuses, AConvolutionOfAnotherKernel) {
  const auto message = Edited{
      .name = "qwen2_vl_proj", .tensors = [](Tensors& t) {
        t[std::string(kConvolution) + ".lora_A.weight"] = at::ones({3, 3, 2, 16, 16});
      }}.refusal<ShapeError>();
  EXPECT_THAT(message, HasSubstr("patch_embed.proj must fit its weight [16, 3, 2, 14, 14]"));
  EXPECT_THAT(message, HasSubstr("A [3, 3, 2, 14, 14] and B [16, 3, 1, 1, 1]; got A [3, 3, 2, 16, 16]"));
}

TEST(AdapterRefuses, AConvolutionWhoseSecondPartIsNoPoint) {
  const auto message = Edited{
      .name = "qwen2_vl_proj", .tensors = [](Tensors& t) {
        t[std::string(kConvolution) + ".lora_B.weight"] = at::ones({16, 3, 1, 3, 3});
      }}.refusal<ShapeError>();
  EXPECT_THAT(message, HasSubstr("of a convolution: A [r, channels, kernel..], B [out, r, 1..]"));
}

TEST(AdapterRefuses, TensorsThatWereNotGathered) {
  const auto message =
      Edited{.tensors = [](Tensors& t) { t[kQuery + ".lora_A.weight"] = at::empty({0}); }}.refusal<ShapeError>();
  EXPECT_THAT(message, HasSubstr("not gathered"));
}

TEST(AdapterRefuses, ACopyOfAnotherVocabulary) {
  for (const char* name : {"base_model.model.lm_head.weight", "base_model.model.model.embed_tokens.weight",
                           "base_model.model.lm_head.base_layer.weight"}) {
    const auto message = Edited{.tensors = [&](Tensors& t) { t[name] = at::ones({70, 32}); }}.refusal<ShapeError>();
    EXPECT_THAT(message, HasSubstr("[64, 32]; got [70, 32]; the adapter was trained with a vocabulary of another size"))
        << name;
  }
}

TEST(Adapter, ATargetOnTheHeadNeedsNoTensorsForAClassWithoutOne) {
  const auto with_head = [](Json& c) { c["target_modules"].push_back("lm_head"); };
  EXPECT_EQ((Edited{.name = "qwen2_vl_base_model", .config = with_head}.read().modules.size()), 18u);
  EXPECT_THAT((Edited{.name = "qwen2_vl_modern", .config = with_head}.refusal()),
              HasSubstr("got none for \"lm_head\""));
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
    testing::Values(
        Option{"peft_type", "\"LOHA\"", {"\"LORA\"", "\"LOHA\""}}, Option{"peft_type", "null", {"must be given"}},
        Option{"use_dora", "true", {"DoRA is not supported"}}, Option{"lora_bias", "true", {"bias is not supported"}},
        Option{"bias", "\"lora_only\"", {"\"none\"", "\"lora_only\""}},
        Option{"fan_in_fan_out", "true", {"transposed"}},
        Option{"modules_to_save", "[\"embed_tokens\"]", {"embed_tokens", "merge"}},
        Option{"layer_replication", "[[0, 2], [1, 2]]", {"replicated"}},
        Option{"trainable_token_indices", "[1, 2]", {"[1,2]"}},
        Option{"target_parameters", "[\"mlp.experts.down_proj\"]", {"bare parameters"}},
        Option{"init_lora_weights", "\"pissa_niter_4\"", {"pissa_niter_4"}},
        Option{"use_next_years_idea", "true", {"\"use_next_years_idea\" = true"}},
        Option{"alora_invocation_tokens", "[1]", {"must be off; got [1]", "activated LoRA"}},
        Option{"use_qalora", "true", {"QA-LoRA"}}, Option{"use_bdlora", "{\"nblocks\": 2}", {"block-diagonal"}},
        Option{"kasa_config", "{\"beta\": 0.1}", {"KaSA"}}, Option{"arrow_config", "{\"top_k\": 2}", {"Arrow"}},
        Option{"init_lora_weights", "\"lora_ga\"", {"belong to a base that it has changed"}},
        Option{"lora_dropout", "1", {"at least 0 and below 1; got 1"}}, Option{"r", "0", {"r must be in"}},
        Option{"r", "\"four\"", {"r must be an integer", "\"four\""}}, Option{"r", "null", {"must be given"}},
        Option{"lora_alpha", "null", {"must be given"}}, Option{"target_modules", "7", {"list of strings"}},
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
      {kQuery + ".lora_diag", "KaSA"},
      {kQuery + ".lora_C.weight", "this is not plain LoRA"},
      {kQuery + ".base_layer.bias", "trained biases"},
      {"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", "trained token embeddings"},
      {"base_model.model.lm_head.modules_to_save.weight", "modules_to_save"},
      {"base_model.model.score.weight", "modules_to_save"},
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
  EXPECT_THAT(message, HasSubstr("must match at least one layer"));
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
  EXPECT_THAT(message, HasSubstr("visual.blocks.0.attn.qkv\" must have one rank"));
  EXPECT_THAT(message, HasSubstr("got A [3, 16] and B [48, 4]; save the adapter again in PEFT"));
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

TEST(AdapterRefuses, OneTensorWithAndWithoutPrefix) {
  const auto twice = [](Tensors& t) {
    t[kQuery.substr(std::string("base_model.model.").size()) + ".lora_A.weight"] = t[kQuery + ".lora_A.weight"].clone();
  };
  EXPECT_THAT(Edited{.tensors = twice}.refusal(), HasSubstr("a tensor must be in the file once"));
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
