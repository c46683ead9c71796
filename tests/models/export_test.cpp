#include "models/export/export.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "models/export/new_folder.h"
#include "models/export/probe.h"
#include "models/export/torchscript.h"
#include "models/lora.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "tests/models/golden_cases.h"
#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::golden_checkpoint_path;
using test::load_golden_model;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Lmm adapted_model(const std::string& checkpoint, std::vector<std::string> targets) {
  Lmm model = load_golden_model(checkpoint);
  LoraConfig config;
  config.rank = 3;
  config.alpha = 5;
  config.target_modules = std::move(targets);
  attach_lora(model, config, 11);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(3);
  for (const LinearModule& module : linear_layers(model)) {
    for (LoraTerm& term : module.layer->lora) {
      if (term.path == module.path) term.b.copy_(0.3 * at::randn(term.b.sizes(), generator, torch::kFloat32));
    }
  }
  return model;
}

nlohmann::json json_of(const fs::path& file) { return parse_json(read_text_file(file)); }

ExportOptions options_for(const std::string& checkpoint) {
  ExportOptions options;
  options.merged.source = golden_checkpoint_path(checkpoint);
  return options;
}

class ExportOf : public testing::TestWithParam<std::string> {};

TEST_P(ExportOf, EveryFormGivesTheModelsEmbeddings) {
  const TempFolder folder;
  Lmm model = adapted_model(GetParam(), {"model\\.layers\\..*"});
  const torch::Tensor plain = embed(load_golden_model(GetParam()), probe_batch(model.config));
  EXPECT_GT(largest_difference(embed(model, probe_batch(model.config)), plain), 1e-2) << "LoRA does something";
  for (const auto format : {ExportFormat::kAdapter, ExportFormat::kMerged, ExportFormat::kTorchscript}) {
    const Exported exported = export_model(model, format, folder.path(), options_for(GetParam()));
    EXPECT_TRUE(fs::exists(exported.path / "trireme_export.json"));
    EXPECT_LE(exported.difference, 1e-5);
  }
  HubCheckpoint merged(folder.path() / "merged");
  EXPECT_EQ(merged.naming(), HubCheckpoint(golden_checkpoint_path(GetParam())).naming());
}

INSTANTIATE_TEST_SUITE_P(Families, ExportOf,
                         testing::Values("qwen2_vl_hub", "qwen2_vl_new", "qwen2_5_vl_hub", "qwen2_5_vl_base",
                                         "qwen2_hub", "qwen2_base"),
                         [](const auto& tested) { return tested.param; });

TEST(ExportAdapter, TargetsSelectTheAdaptedModulesAlone) {
  const TempFolder folder;
  // Qwen2.5-VL's vision tower has gate_proj, up_proj and down_proj too.
  Lmm model = adapted_model("qwen2_5_vl_hub", {"model\\.layers\\..*"});
  write_adapter_folder(folder.path(), model, {});
  auto config = json_of(folder.path() / "adapter_config.json");
  EXPECT_THAT(config["target_modules"].get<std::vector<std::string>>(),
              ElementsAre("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"));
  EXPECT_THAT(config["exclude_modules"].get<std::string>(), HasSubstr("visual"));
  EXPECT_EQ(config["r"], 3);
  EXPECT_EQ(config["lora_alpha"], 5);

  Lmm partial = adapted_model("qwen2_5_vl_hub", {"layers\\.0\\..*q_proj", "visual\\.blocks\\.0\\.mlp\\.gate_proj"});
  write_adapter_folder(folder.path(), partial, {});
  config = json_of(folder.path() / "adapter_config.json");
  EXPECT_THAT(config["target_modules"].get<std::vector<std::string>>(),
              ElementsAre("model.language_model.layers.0.self_attn.q_proj", "model.visual.blocks.0.mlp.gate_proj"));
  check_adapter_folder(folder.path(), partial);
}

TEST(ExportAdapter, HoldsNothingButLoraInTheNamingAskedFor) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_vl_hub", {"q_proj"});
  const std::pair<AdapterNaming, std::string> spellings[] = {
      {AdapterNaming::kModern, "base_model.model.model.language_model.layers.0."},
      {AdapterNaming::kLegacy, "base_model.model.model.layers.0."},
      {AdapterNaming::kBaseModel, "base_model.model.language_model.layers.0."}};
  for (const auto& [naming, prefix] : spellings) {
    write_adapter_folder(folder.path(), model, {naming, "some/base", false});
    check_adapter_folder(folder.path(), model);
    const SafetensorsFile file(folder.path() / "adapter_model.safetensors");
    EXPECT_EQ(static_cast<int64_t>(file.entries().size()), 2 * model.config.decoder.layers);
    EXPECT_NE(file.find(prefix + "self_attn.q_proj.lora_A.weight"), nullptr);
    EXPECT_EQ(file.metadata().at("format"), "pt");
    for (const auto& entry : file.entries()) {
      EXPECT_TRUE(entry.name.ends_with(".lora_A.weight") || entry.name.ends_with(".lora_B.weight")) << entry.name;
    }
  }
}

TEST(ExportAdapter, RanksAndScalesThatDifferGoToPatterns) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_vl_hub", {"q_proj", "v_proj"});
  LoraTerm& odd = model.decoder.layers[1].qkv.lora[0];
  odd.a = at::randn({7, odd.a.size(1)});
  odd.b = at::randn({odd.b.size(0), 7});
  odd.scale = 0.75;
  for (const bool rslora : {false, true}) {
    write_adapter_folder(folder.path(), model, {AdapterNaming::kModern, "", rslora});
    check_adapter_folder(folder.path(), model);
    EXPECT_EQ(json_of(folder.path() / "adapter_config.json")["rank_pattern"].size(), 1);
  }
}

/// The file after one of its names was altered.
void rename_tensor(const fs::path& file, const std::string& from, const std::string& to) {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  {
    const SafetensorsFile old(file);
    for (const auto& entry : old.entries()) {
      tensors.emplace_back(entry.name == from ? to : entry.name, old.tensor(entry).clone());
    }
  }
  write_safetensors(file, tensors);
}

TEST(ExportAdapterRefusal, AnAlteredNameAndAnAlteredValue) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_vl_hub", {"q_proj", "k_proj"});
  const fs::path file = folder.path() / "adapter_model.safetensors";
  const std::string prefix = "base_model.model.model.language_model.layers.0.self_attn.";
  for (const char* half : {"A", "B"}) {
    write_adapter_folder(folder.path(), model, {});
    rename_tensor(file, fmt::format("{}q_proj.lora_{}.weight", prefix, half),
                  fmt::format("{}w_proj.lora_{}.weight", prefix, half));
    EXPECT_THAT(message_of<DataError>([&] { check_adapter_folder(folder.path(), model); }), HasSubstr("_proj"));
  }
  write_adapter_folder(folder.path(), model, {});
  model.decoder.layers[1].qkv.lora[1].b[0][0] += 1e-6;
  EXPECT_THAT(message_of<DataError>([&] { check_adapter_folder(folder.path(), model); }),
              HasSubstr("model.layers.1.self_attn.k_proj"));
}

TEST(ExportAdapterRefusal, AModelWithoutLora) {
  const TempFolder folder;
  Lmm model = load_golden_model("qwen2_hub");
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { export_model(model, ExportFormat::kAdapter, folder.path(), options_for("qwen2_hub")); }),
              HasSubstr("got none"));
  EXPECT_TRUE(fs::is_empty(folder.path())) << "a failed export leaves nothing";
}

TEST(ExportMerged, ShardsCarryAnIndexAndTheSourcesFilesGoAlong) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_vl_hub", {"model\\.layers\\..*"});
  ExportOptions options = options_for("qwen2_vl_hub");
  options.merged.max_shard_bytes = 40'000;
  options.merged.dtype = torch::kBFloat16;
  const Exported exported = export_model(model, ExportFormat::kMerged, folder.path(), options);
  const auto index = json_of(exported.path / "model.safetensors.index.json");
  const HubCheckpoint checkpoint(exported.path);
  EXPECT_GT(checkpoint.weight_files().size(), 1U);
  EXPECT_EQ(checkpoint.config().dtype, "bfloat16");
  EXPECT_EQ(checkpoint.entry("model.norm.weight").dtype, torch::kBFloat16);
  int64_t bytes = 0;
  for (const std::string& name : checkpoint.names()) {
    bytes += 2 * c10::multiply_integers(checkpoint.entry(name).shape);
  }
  EXPECT_EQ(index["metadata"]["total_size"], bytes);
}

// --- a head of its own --------------------------------------------------------------------------------------

/// A golden checkpoint's model with the golden adapter on its tied head, its convolution and more.
Lmm with_golden_adapter(const fs::path& checkpoint) {
  HubCheckpoint files(checkpoint);
  Lmm model = load_model(files, {});
  attach_adapter(model, read_adapter(golden_checkpoint_path("adapters") / "qwen2_vl_proj", model.config));
  return model;
}

torch::Tensor scores_of(const fs::path& folder, const PackedBatch& batch) {
  HubCheckpoint checkpoint(folder);
  return logits_rows(load_model(checkpoint, {.head = true}), batch);
}

TEST(ExportMerged, GivesATiedHeadWithLoraAHeadOfItsOwn) {
  for (const bool nested : {false, true}) {
    const test::EditableFolder source(golden_checkpoint_path("qwen2_vl_hub"));
    if (nested) {
      source.edit_json("config.json", [](auto& config) {
        const auto text = config;
        config["text_config"] = text;
        config["tie_word_embeddings"] = false;  // text_config ties
      });
    }
    const TempFolder folder;
    Lmm model = with_golden_adapter(source.path());
    ExportOptions options;
    options.merged.source = source.path();
    const Exported exported = export_model(model, ExportFormat::kMerged, folder.path(), options);
    const auto config = json_of(exported.path / "config.json");
    EXPECT_EQ(config["tie_word_embeddings"], false);
    if (nested) {
      EXPECT_EQ(config["text_config"]["tie_word_embeddings"], false);
    }

    const PackedBatch probe = probe_batch(model.config);
    const torch::Tensor wanted = logits_rows(model, probe);
    EXPECT_LT(largest_difference(scores_of(exported.path, probe), wanted), 1e-5 * wanted.abs().max().item<double>());
    const SafetensorsFile written(exported.path / "model.safetensors");
    const torch::Tensor embeddings = written.tensor(*written.find("model.embed_tokens.weight"));
    EXPECT_TRUE(at::equal(embeddings, model.decoder.embed_tokens)) << "LoRA on the head leaves the embeddings alone";
    EXPECT_GT(largest_difference(written.tensor(*written.find("lm_head.weight")), embeddings), 1e-2);
    EXPECT_THAT(exported.tensors.written.at("lm_head.weight"), HasSubstr("no longer tied"));
    EXPECT_EQ(exported.tensors.written.at("visual.patch_embed.proj.weight"), "LoRA merged in");
    EXPECT_EQ(exported.tensors.written.at("model.embed_tokens.weight"), "as in the base");
    EXPECT_TRUE(exported.tensors.left_out.empty());
    const auto record = json_of(exported.path / "trireme_export.json");
    EXPECT_EQ(record["tensors"].size(), written.entries().size());
    EXPECT_EQ(record["tensors"]["lm_head.weight"], exported.tensors.written.at("lm_head.weight"));
  }
}

TEST(ExportMerged, MergesLoraIntoAHeadThatTheModelWasLoadedWithout) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_5_vl_hub", {"lm_head", "q_proj"});
  ASSERT_FALSE(model.head.weight.defined());
  export_model(model, ExportFormat::kMerged, folder.path(), options_for("qwen2_5_vl_hub"));
  HubCheckpoint base(golden_checkpoint_path("qwen2_5_vl_hub")), merged(folder.path() / "merged");
  const auto head = [](HubCheckpoint& checkpoint) {
    return checkpoint.take("lm_head.weight", checkpoint.entry("lm_head.weight").shape).to(torch::kFloat32);
  };
  const LoraTerm& term = model.head.lora.at(0);
  const torch::Tensor wanted = head(base) + term.scale * at::mm(term.b, term.a);
  EXPECT_GT(largest_difference(head(merged), head(base)), 1e-2);
  EXPECT_LT(largest_difference(head(merged), wanted), 1e-5);
}

TEST(ExportMergedRefusal, LoraOnAHeadThatIsNowhere) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_base", {"lm_head"});  // untied, saved without a head
  EXPECT_THAT(message_of<DataError>(
                  [&] { export_model(model, ExportFormat::kMerged, folder.path(), options_for("qwen2_base")); }),
              AllOf(HasSubstr("LoRA on lm_head"), HasSubstr("got none"), HasSubstr("adapter form")));
}

// --- every tensor in is a tensor out ------------------------------------------------------------------------

TEST(ExportMerged, AccountsForEveryTensorOfTheBase) {
  for (const char* checkpoint : {"qwen2_vl_hub", "qwen2_vl_new", "qwen2_5_vl_hub", "qwen2_5_vl_base", "qwen2_base"}) {
    const TempFolder folder;
    Lmm model = adapted_model(checkpoint, {"model\\.layers\\.0\\..*"});
    const Exported exported = export_model(model, ExportFormat::kMerged, folder.path(), options_for(checkpoint));
    const SafetensorsFolder base(golden_checkpoint_path(checkpoint));
    EXPECT_EQ(exported.tensors.written.size() + exported.tensors.left_out.size(), base.names().size()) << checkpoint;
    for (const std::string& name : base.names()) EXPECT_TRUE(exported.tensors.written.contains(name)) << name;
    EXPECT_THAT(text_of(exported.tensors), HasSubstr("7 LoRA merged in")) << checkpoint;
  }
}

TEST(ExportMerged, LeavesOutWhatIsMadeAnewAndSaysSo) {
  const test::EditableFolder source(golden_checkpoint_path("qwen2_vl_hub"));
  source.edit_tensors("model.safetensors", [](auto& tensors) {
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({8});
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone();
  });
  const TempFolder folder;
  HubCheckpoint files(source.path());
  Lmm model = load_model(files, {});
  ExportOptions options;
  options.merged.source = source.path();
  const Exported exported = export_model(model, ExportFormat::kMerged, folder.path(), options);
  EXPECT_THAT(exported.tensors.left_out.at("model.layers.0.self_attn.rotary_emb.inv_freq"), HasSubstr("config.json"));
  EXPECT_THAT(exported.tensors.left_out.at("lm_head.weight"), HasSubstr("tied"));
  EXPECT_THAT(text_of(exported.tensors), HasSubstr("left out: 2"));
}

TEST(ExportMerged, KeepsAHeadThatConfigTiesAndFilesHaveApart) {
  const test::EditableFolder source(golden_checkpoint_path("qwen2_vl_hub"));
  source.edit_tensors("model.safetensors",
                      [](auto& tensors) { tensors["lm_head.weight"] = 1.5 * tensors["model.embed_tokens.weight"]; });
  const TempFolder folder;
  HubCheckpoint files(source.path());
  Lmm model = load_model(files, {});
  ExportOptions options;
  options.merged.source = source.path();
  const Exported exported = export_model(model, ExportFormat::kMerged, folder.path(), options);
  EXPECT_EQ(json_of(exported.path / "config.json")["tie_word_embeddings"], false);
  EXPECT_EQ(exported.tensors.written.at("lm_head.weight"), "as in the base");
}

struct Damage {
  const char* what;
  std::function<void(test::EditableFolder::Tensors&)> change;
  const char* says;
};

TEST(CheckMergedFolder, FindsEveryKindOfDamage) {
  using Tensors = test::EditableFolder::Tensors;
  const std::string query = "model.layers.0.self_attn.q_proj.weight", norm = "model.norm.weight";
  const std::vector<Damage> damages{
      {"a frozen value", [&](Tensors& t) { t[norm][3] += 1e-6; }, "must be the base's values"},
      {"a frozen tensor of the tower", [](Tensors& t) { t["visual.merger.ln_q.bias"][0] += 1e-3; }, "base's values"},
      {"an adapted value", [&](Tensors& t) { t[query][0][0] += 0.01; }, "what its layer and LoRA give"},
      {"LoRA left out", [&](Tensors& t) { t[query] -= 0.3 * at::ones_like(t[query]); }, "what its layer and LoRA give"},
      {"NaN", [&](Tensors& t) { t[query][0][0] = NAN; }, "what its layer and LoRA give"},
      {"the convolution", [](Tensors& t) { t["visual.patch_embed.proj.weight"] *= 1.01; }, "what its layer and LoRA"},
      {"the head", [](Tensors& t) { t["lm_head.weight"] = t["model.embed_tokens.weight"].clone(); }, "lm_head.weight"},
      {"a tensor gone", [&](Tensors& t) { t.erase(norm); }, "got none for \"model.norm.weight\""},
      {"a tensor more", [](Tensors& t) { t["model.layers.9.mlp.up_proj.weight"] = at::ones({1}); },
       "one of the model's"},
      {"a shape", [&](Tensors& t) { t[norm] = t[norm].narrow(0, 0, 31).clone(); }, "must be [32]; got [31]"},
      {"a dtype", [&](Tensors& t) { t[norm] = t[norm].to(torch::kBFloat16); }, "must be float32; got bfloat16"},
  };
  Lmm model = with_golden_adapter(golden_checkpoint_path("qwen2_vl_hub"));
  const MergedExport options{.source = golden_checkpoint_path("qwen2_vl_hub")};
  const TempFolder whole;
  const torch::NoGradGuard no_gradient;
  write_merged_folder(whole.path(), model, options);
  EXPECT_NO_THROW(check_merged_folder(whole.path(), model, options));
  for (const Damage& damage : damages) {
    const test::EditableFolder folder(whole.path());
    folder.edit_tensors("model.safetensors", damage.change);
    EXPECT_THAT(message_of<DataError>([&] { check_merged_folder(folder.path(), model, options); }),
                AllOf(HasSubstr(damage.says), HasSubstr("nothing was kept")))
        << damage.what;
  }
}

TEST(ExportMerged, NamesTheImageProcessorAsTransformersKnowsIt) {
  const test::EditableFolder source(golden_checkpoint_path("qwen2_5_vl_hub"));
  source.write("preprocessor_config.json",
               R"({"image_processor_type": "Qwen2_5_VLImageProcessor", "min_pixels": 3136})");
  source.write("tokenizer_config.json", R"({"note": "Qwen2_5_VLImageProcessor"})");
  const TempFolder folder;
  Lmm model = load_golden_model("qwen2_5_vl_hub");
  ExportOptions options;
  options.merged.source = source.path();
  const Exported exported = export_model(model, ExportFormat::kMerged, folder.path(), options);
  EXPECT_EQ(read_text_file(exported.path / "preprocessor_config.json"),
            R"({"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136})");
  EXPECT_EQ(read_text_file(exported.path / "tokenizer_config.json"), R"({"note": "Qwen2_5_VLImageProcessor"})");
}

// --- adapters as PEFT reads them ----------------------------------------------------------------------------

TEST(ExportAdapter, TargetsNeverNameAModuleThatIsNotAdapted) {
  struct Case {
    std::vector<std::string> adapted, targets;
  };
  // By their last part alone, mlp.0 would be every layer 0 as well, and attn.proj the convolution.
  const std::vector<Case> cases{
      {{"visual\\.merger\\.mlp\\.0"}, {"mlp.0"}},
      {{"visual\\.merger\\.mlp\\.2", "q_proj"}, {"2", "q_proj"}},
      {{"visual\\.blocks\\..*\\.attn\\.proj", "v_proj"}, {"attn.proj", "v_proj"}},
      {{"visual\\..*"}, {"attn.proj", "fc1", "fc2", "mlp.0", "2", "qkv"}},
  };
  for (const Case& one : cases) {
    const TempFolder folder;
    Lmm model = adapted_model("qwen2_vl_hub", one.adapted);
    write_adapter_folder(folder.path(), model, {});
    check_adapter_folder(folder.path(), model);
    EXPECT_THAT(json_of(folder.path() / "adapter_config.json")["target_modules"].get<std::vector<std::string>>(),
                testing::UnorderedElementsAreArray(one.targets));
  }
  Lmm model = with_golden_adapter(golden_checkpoint_path("qwen2_vl_hub"));
  const TempFolder folder;
  write_adapter_folder(folder.path(), model, {});
  check_adapter_folder(folder.path(), model);
  EXPECT_THAT(json_of(folder.path() / "adapter_config.json")["target_modules"].get<std::vector<std::string>>(),
              ElementsAre("lm_head", "proj", "q_proj"));
  const SafetensorsFile file(folder.path() / "adapter_model.safetensors");
  EXPECT_THAT(file.find("base_model.model.model.visual.patch_embed.proj.lora_A.weight")->shape,
              ElementsAre(3, 3, 2, 14, 14));
  EXPECT_THAT(file.find("base_model.model.model.visual.patch_embed.proj.lora_B.weight")->shape,
              ElementsAre(16, 3, 1, 1, 1));
}

TEST(ExportAdapterRefusal, TargetsThatSelectMoreOrLess) {
  const TempFolder folder;
  Lmm model = adapted_model("qwen2_vl_hub", {"q_proj"});
  write_adapter_folder(folder.path(), model, {});
  const test::EditableFolder edited(folder.path());
  edited.edit_json("adapter_config.json", [](auto& config) { config["target_modules"] = ".*"; });
  EXPECT_THAT(message_of<DataError>([&] { check_adapter_folder(edited.path(), model); }),
              HasSubstr("selected and not adapted"));
}

TEST(ExportAdapterRefusal, AHeadInTheNamingOfTheClassWithoutOne) {
  const TempFolder folder;
  Lmm model = with_golden_adapter(golden_checkpoint_path("qwen2_vl_hub"));
  EXPECT_THAT(message_of<ConfigError>([&] {
                write_adapter_folder(folder.path(), model, {AdapterNaming::kBaseModel, "", false});
              }),
              AllOf(HasSubstr("lm_head"), HasSubstr("choose modern")));
}

TEST(ExportAdapter, KeepsTheDropoutOfItsTraining) {
  const TempFolder folder;
  const test::EditableFolder adapter(golden_checkpoint_path("adapters") / "qwen2_vl_proj");
  adapter.edit_json("adapter_config.json", [](auto& config) { config["lora_dropout"] = 0.25; });
  Lmm model = load_golden_model("qwen2_vl_hub");
  attach_adapter(model, read_adapter(adapter.path(), model.config));
  write_adapter_folder(folder.path(), model, {});
  EXPECT_EQ(json_of(folder.path() / "adapter_config.json")["lora_dropout"], 0.25);
}

TEST(NewFolder, LeavesOtherPeoplesFilesAlone) {
  const TempFolder folder;
  const fs::path out = folder.path() / "out";
  fs::create_directory(out);
  std::ofstream(out / "thesis.txt") << "mine";
  EXPECT_THAT(message_of<DataError>([&] { NewFolder(out, "marker.json"); }),
              AllOf(HasSubstr(out.string()), HasSubstr("other files")));
  EXPECT_TRUE(fs::exists(out / "thesis.txt"));
}

TEST(NewFolder, ReplacesItsOwnOnCommitAlone) {
  const TempFolder folder;
  const fs::path out = folder.path() / "out";
  const auto make = [&](const char* text, bool commit) {
    NewFolder made(out, "marker.json");
    std::ofstream(made.temporary_path() / "marker.json") << text;
    if (commit) made.commit();
  };
  make("first", true);
  make("second", false);
  EXPECT_EQ(read_text_file(out / "marker.json"), "first");
  make("third", true);
  EXPECT_EQ(read_text_file(out / "marker.json"), "third");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1) << "nothing left over";
}

TEST(RequireSameEmbeddings, RefusesDifferencesAndNan) {
  const auto rows = at::ones({2, 3});
  require_same_outputs(rows + 5e-6, rows, 1e-5, "x");
  EXPECT_THAT(message_of<DataError>([&] { require_same_outputs(rows + 1e-3, rows, 1e-5, "x"); }), HasSubstr("0.001"));
  EXPECT_THAT(message_of<DataError>([&] { require_same_outputs(rows * NAN, rows, 1e-5, "x"); }), HasSubstr("nan"));
}

}  // namespace
}  // namespace trireme
