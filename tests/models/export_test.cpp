#include "models/export/export.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "models/export/new_folder.h"
#include "models/export/probe.h"
#include "models/export/torchscript.h"
#include "models/lora.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "tests/models/golden_cases.h"
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

Model adapted_model(const std::string& checkpoint, std::vector<std::string> targets) {
  Model model = load_golden_model(checkpoint);
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

nlohmann::json json_of(const fs::path& file) { return nlohmann::json::parse(read_text_file(file)); }

ExportOptions options_for(const std::string& checkpoint) {
  ExportOptions options;
  options.merged.source = golden_checkpoint_path(checkpoint);
  return options;
}

class ExportOf : public testing::TestWithParam<std::string> {};

TEST_P(ExportOf, EveryFormGivesTheModelsEmbeddings) {
  const TempFolder folder;
  Model model = adapted_model(GetParam(), {"model\\.layers\\..*"});
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
  Model model = adapted_model("qwen2_5_vl_hub", {"model\\.layers\\..*"});
  write_adapter_folder(folder.path(), model, {});
  auto config = json_of(folder.path() / "adapter_config.json");
  EXPECT_THAT(config["target_modules"].get<std::vector<std::string>>(),
              ElementsAre("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"));
  EXPECT_THAT(config["exclude_modules"].get<std::string>(), HasSubstr("visual"));
  EXPECT_EQ(config["r"], 3);
  EXPECT_EQ(config["lora_alpha"], 5);

  Model partial = adapted_model("qwen2_5_vl_hub", {"layers\\.0\\..*q_proj", "visual\\.blocks\\.0\\.mlp\\.gate_proj"});
  write_adapter_folder(folder.path(), partial, {});
  config = json_of(folder.path() / "adapter_config.json");
  EXPECT_THAT(config["target_modules"].get<std::vector<std::string>>(),
              ElementsAre("model.language_model.layers.0.self_attn.q_proj", "model.visual.blocks.0.mlp.gate_proj"));
  check_adapter_folder(folder.path(), partial);
}

TEST(ExportAdapter, HoldsNothingButLoraInTheNamingAskedFor) {
  const TempFolder folder;
  Model model = adapted_model("qwen2_vl_hub", {"q_proj"});
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
  Model model = adapted_model("qwen2_vl_hub", {"q_proj", "v_proj"});
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
  Model model = adapted_model("qwen2_vl_hub", {"q_proj", "k_proj"});
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
  Model model = load_golden_model("qwen2_hub");
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { export_model(model, ExportFormat::kAdapter, folder.path(), options_for("qwen2_hub")); }),
              HasSubstr("got none"));
  EXPECT_TRUE(fs::is_empty(folder.path())) << "a failed export leaves nothing";
}

TEST(ExportMerged, ShardsCarryAnIndexAndTheSourcesFilesGoAlong) {
  const TempFolder folder;
  Model model = adapted_model("qwen2_vl_hub", {"model\\.layers\\..*"});
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
