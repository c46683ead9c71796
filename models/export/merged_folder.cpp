#include "models/export/merged_folder.h"

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>
#include <c10/core/ScalarType.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json_text.h"
#include "core/io/safetensors.h"
#include "core/io/text.h"
#include "core/json.h"
#include "core/shape.h"
#include "models/config_tensors.h"
#include "models/weights/hub_checkpoint.h"
#include "models/weights/tensor_names.h"

namespace trireme {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kCompanions{"generation_config.json",
                                 "tokenizer.json",
                                 "tokenizer_config.json",
                                 "special_tokens_map.json",
                                 "added_tokens.json",
                                 "vocab.json",
                                 "merges.txt",
                                 "chat_template.json",
                                 "chat_template.jinja",
                                 "preprocessor_config.json",
                                 "processor_config.json",
                                 "video_preprocessor_config.json"};

/// The tensors of the written checkpoint one by one, so that no more than a shard is held twice.
class MergedTensors {
 public:
  MergedTensors(Lmm& model, const MergedExport& options) : options_(options) {
    for (Parameter& parameter : named_parameters(model)) value_of_.emplace(parameter.name, parameter.value);
    for (const LinearModule& module : lora_layers(model)) {
      if (module.layer->weight.defined()) module_of_.emplace(module.path + ".weight", module);
    }
    if (!has_weights(options.source)) return;
    checkpoint_.emplace(options.source);
    naming_ = checkpoint_->naming();
  }

  TensorNaming naming() const { return naming_; }
  bool has(const std::string& name) const {
    return value_of_.contains(name) || module_of_.contains(name) || (checkpoint_ && checkpoint_->has(name));
  }

  torch::Tensor take(const std::string& name, const std::vector<int64_t>& shape) {
    const auto module = module_of_.find(name);
    if (module != module_of_.end()) {
      return merged_weight(module->second).view(shape).to(torch::kCPU, options_.dtype);
    }
    const auto value = value_of_.find(name);
    const auto found = value != value_of_.end() ? value->second : checkpoint_->take(name, shape);
    return found.to(torch::kCPU, options_.dtype);
  }

 private:
  const MergedExport& options_;
  std::map<std::string, torch::Tensor> value_of_;
  std::map<std::string, LinearModule> module_of_;
  std::optional<HubCheckpoint> checkpoint_;
  TensorNaming naming_ = TensorNaming::kOld;
};

/// In the root and in text_config: transformers ties where either says so.
void set_tied(Json& json, bool tied) {
  json["tie_word_embeddings"] = tied;
  if (json.contains("text_config") && json["text_config"].contains("tie_word_embeddings"))
    json["text_config"]["tie_word_embeddings"] = tied;
}

/// Sets every dtype key that the file has, in its sections too; older and newer transformers name it differently.
void set_dtype(Json& json, const std::string& dtype) {
  bool any = false;
  const auto set = [&](Json& section) {
    for (const char* key : {"torch_dtype", "dtype"}) {
      if (!section.contains(key)) continue;
      section[key] = dtype;
      any = true;
    }
  };
  set(json);
  for (const char* section : {"text_config", "vision_config"}) {
    if (json.contains(section) && json[section].is_object()) set(json[section]);
  }
  if (!any) json["torch_dtype"] = dtype;
}

/// A file that goes along. transformers 4.49's name for the image processor, which no other release knows, becomes the
/// one that they all know for the same.
std::string companion_text(const fs::path& file) {
  constexpr std::string_view kOnce = "Qwen2_5_VLImageProcessor", kSince = "Qwen2VLImageProcessor";
  std::string text = read_text_file(file);
  if (!file.filename().string().ends_with("processor_config.json")) return text;
  for (std::size_t at = text.find(kOnce); at != std::string::npos; at = text.find(kOnce, at))
    text.replace(at, kOnce.size(), kSince);
  return text;
}

std::string shard_name(std::size_t index, std::size_t count) {
  return count == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

}  // namespace

bool has_weights(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "model.safetensors", ignored) ||
         fs::exists(folder / "model.safetensors.index.json", ignored);
}

ModelConfig merged_config(const Lmm& model) {
  ModelConfig config = model.config;
  if (!model.head.lora.empty()) config.decoder.tie_word_embeddings = false;
  return config;
}

torch::Tensor merged_weight(const LinearModule& module) {
  const Linear& layer = *module.layer;
  auto weight = layer.weight.detach().narrow(0, module.row_begin, module.rows).to(torch::kFloat32);
  for (const LoraTerm& term : layer.lora) {
    if (term.row_begin != module.row_begin) continue;
    weight = weight + term.scale * at::mm(term.b.detach().to(torch::kFloat32), term.a.detach().to(torch::kFloat32));
  }
  return weight;
}

void write_merged_folder(const fs::path& folder, Lmm& model, const MergedExport& options) {
  MergedTensors tensors(model, options);
  TRIREME_CHECK(model.head.lora.empty() || model.head.weight.defined(), DataError, "export",
                "LoRA on lm_head is merged into the head; got none in {}; export the adapter form.",
                options.source.string());
  const ModelConfig merged = merged_config(model);
  const auto shapes = tensor_shapes(merged);
  std::vector<std::vector<std::string>> shards(1);
  int64_t shard_bytes = 0, total_bytes = 0;
  for (const auto& [name, shape] : shapes) {
    // A checkpoint saved without its head (base-model naming) is written without it.
    if (name == "lm_head.weight" && !tensors.has(name)) continue;
    const int64_t bytes = c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(options.dtype));
    if (!shards.back().empty() && shard_bytes + bytes > options.max_shard_bytes) {
      shards.emplace_back();
      shard_bytes = 0;
    }
    shards.back().push_back(name);
    shard_bytes += bytes;
    total_bytes += bytes;
  }

  const bool text_only = !model.config.vision;
  Json weight_map = Json::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    std::vector<std::pair<std::string, torch::Tensor>> shard;
    for (const std::string& name : shards[i]) {
      shard.emplace_back(spelled(name, tensors.naming(), text_only), tensors.take(name, shapes.at(name)));
      weight_map[shard.back().first] = shard_name(i, shards.size());
    }
    write_safetensors(folder / shard_name(i, shards.size()), shard);
  }
  if (shards.size() > 1) {
    const Json index{{"metadata", {{"total_size", total_bytes}}}, {"weight_map", weight_map}};
    write_text_file(folder / "model.safetensors.index.json", dump_json(index, 2) + "\n");
  }

  const std::string config_text = read_utf8_file(options.source / "config.json");
  Json config = parse_ordered_json(with_odd_values_apart(config_text).value_or(config_text));
  set_dtype(config, dtype_name(options.dtype));
  set_tied(config, merged.decoder.tie_word_embeddings);
  write_text_file(folder / "config.json", with_odd_values_back(dump_json(config, 2)) + "\n");
  for (const char* companion : kCompanions) {
    std::error_code error;
    if (!fs::exists(options.source / companion, error)) continue;
    write_text_file(folder / companion, companion_text(options.source / companion));
  }
}

}  // namespace trireme
