#include "models/export/adapter_folder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include <ATen/ops/equal.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "models/config_tensors.h"
#include "models/weights/adapter.h"
#include "models/weights/adapter_files.h"
#include "models/weights/peft_config.h"
#include "models/weights/tensor_names.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

std::map<std::string, const LoraTerm*> terms_of(Lmm& model) {
  std::map<std::string, const LoraTerm*> terms;
  for (const LinearModule& module : lora_layers(model)) {
    for (const LoraTerm& term : module.layer->lora) {
      if (term.path != module.path) continue;
      TRIREME_CHECK(terms.emplace(term.path, &term).second, ConfigError, "export",
                    "an adapter has one pair a layer; got two on {}; merge them into the model instead.", term.path);
    }
  }
  TRIREME_CHECK(!terms.empty(), ConfigError, "export",
                "an adapter needs LoRA in the model; got none; export the merged form.");
  return terms;
}

TensorNaming tensor_naming(AdapterNaming naming) {
  switch (naming) {
    case AdapterNaming::kModern:
      return TensorNaming::kNew;
    case AdapterNaming::kLegacy:
      return TensorNaming::kOld;
    case AdapterNaming::kBaseModel:
      return TensorNaming::kBaseModel;
  }
  TRIREME_ASSERT(false, "naming {}", static_cast<int>(naming));
}

/// Module paths as the file spells them.
struct Spelling {
  TensorNaming naming;
  bool text_only;
  std::string operator()(const std::string& canonical) const { return spelled(canonical, naming, text_only); }
};

/// Every module of the class by canonical path, containers too: what PEFT compares target_modules with.
std::set<std::string> modules_of_class(const ModelConfig& config, TensorNaming naming) {
  std::set<std::string> modules;
  const auto add = [&](std::string path) {
    for (std::size_t dot = path.rfind('.'); dot != std::string::npos; dot = path.rfind('.')) {
      modules.insert(path);
      path.resize(dot);
    }
    modules.insert(path);
  };
  for (const auto& [name, shape] : tensor_shapes(config)) add(name.substr(0, name.rfind('.')));
  if (naming == TensorNaming::kBaseModel) {
    modules.erase("lm_head");
  } else {
    modules.insert("lm_head");  // tied or not
  }
  return modules;
}

/// The last part of a path, or the last two, whichever names adapted modules alone; nullopt when neither does.
std::optional<std::string> short_target(const std::string& path, const std::set<std::string>& others) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string::npos) return path;
  for (const std::size_t begin : {dot, path.rfind('.', dot - 1)}) {
    const std::string target = path.substr(begin + 1);  // npos + 1 is 0: the whole path
    if (std::ranges::none_of(others, [&](const std::string& other) { return names_module(target, other); }))
      return target;
    if (begin == std::string::npos) break;
  }
  return std::nullopt;
}

struct Selection {
  std::set<std::string> targets;
  std::string excluded;  ///< a regular expression, or ""
};

/// target_modules that select the adapted modules of the whole model and nothing else.
Selection selection_of(const std::map<std::string, const LoraTerm*>& terms, const ModelConfig& config,
                       const Spelling& spell) {
  const bool adapts_vision =
      std::ranges::any_of(terms, [](const auto& term) { return sees_pictures(part_of(term.first)); });
  std::set<std::string> others, vision;  // modules that must not be selected; those among them that can be excluded
  for (const std::string& path : modules_of_class(config, spell.naming)) {
    if (!terms.contains(path)) (sees_pictures(part_of(path)) && !adapts_vision ? vision : others).insert(path);
  }
  Selection selection;
  for (const auto& [path, term] : terms) {
    const std::optional<std::string> target = short_target(path, others);
    if (!target) {
      selection.targets.clear();
      for (const auto& [whole, unused] : terms) selection.targets.insert(spell(whole));
      return selection;
    }
    selection.targets.insert(*target);
  }
  const auto named = [&](const std::string& path) {
    return std::ranges::any_of(selection.targets, [&](const std::string& t) { return names_module(t, path); });
  };
  if (std::ranges::any_of(vision, named)) selection.excluded = R"((.*\.)?visual\..*)";
  return selection;
}

double alpha_of(const LoraTerm& term, bool rslora) {
  const auto rank = static_cast<double>(term.a.size(0));
  return term.scale * (rslora ? std::sqrt(rank) : rank);
}

std::string escaped(const std::string& path) {
  std::string pattern;
  for (const char c : path) pattern += c == '.' ? "\\." : std::string(1, c);
  return pattern;
}

/// The value most terms have, and a pattern for each that has another.
template <class T>
struct CommonValue {
  T common{};
  Json patterns = Json::object();
};
template <class T>
CommonValue<T> common_value(const std::map<std::string, T>& value_of, const Spelling& spell) {
  std::map<T, int64_t> counts;
  for (const auto& [path, value] : value_of) ++counts[value];
  CommonValue<T> result;
  result.common = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
                    return a.second < b.second;
                  })->first;
  for (const auto& [path, value] : value_of) {
    if (value != result.common) result.patterns[escaped(spell(path))] = value;
  }
  return result;
}

Json config_json(const std::map<std::string, const LoraTerm*>& terms, const ModelConfig& config,
                 const AdapterExport& options, const Spelling& spell) {
  std::map<std::string, int64_t> rank_of;
  std::map<std::string, double> alphas;
  double dropout = 0;
  for (const auto& [path, term] : terms) {
    rank_of[path] = term->a.size(0);
    alphas[path] = alpha_of(*term, options.rslora);
    dropout = std::max(dropout, term->dropout);
  }
  const auto ranks = common_value(rank_of, spell);
  const auto alpha = common_value(alphas, spell);
  const Selection selection = selection_of(terms, config, spell);
  const auto whole = [](double value) {
    return value == std::floor(value) ? Json(static_cast<int64_t>(value)) : Json(value);
  };
  Json alpha_patterns = Json::object();
  for (const auto& [pattern, value] : alpha.patterns.items()) alpha_patterns[pattern] = whole(value.get<double>());
  Json json;
  json["alpha_pattern"] = alpha_patterns;
  json["auto_mapping"] = nullptr;
  json["base_model_name_or_path"] = options.base_model_name;
  json["bias"] = "none";
  json["exclude_modules"] = selection.excluded.empty() ? Json(nullptr) : Json(selection.excluded);
  json["fan_in_fan_out"] = false;
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  json["layer_replication"] = nullptr;
  json["layers_pattern"] = nullptr;
  json["layers_to_transform"] = nullptr;
  json["loftq_config"] = Json::object();
  json["lora_alpha"] = whole(alpha.common);
  json["lora_bias"] = false;
  json["lora_dropout"] = dropout;
  json["modules_to_save"] = nullptr;
  json["peft_type"] = "LORA";
  json["r"] = ranks.common;
  json["rank_pattern"] = ranks.patterns;
  json["revision"] = nullptr;
  json["target_modules"] = selection.targets;
  json["task_type"] = nullptr;
  json["use_dora"] = false;
  json["use_rslora"] = options.rslora;
  return json;
}

/// PEFT makes LoRA on what target_modules selects, whether the file holds values for it or not.
void require_selection(const std::filesystem::path& folder, const std::map<std::string, const LoraTerm*>& terms,
                       const ModelConfig& config) {
  const AdapterFiles files = read_adapter_files(folder);
  const Spelling spell{files.naming, !config.vision};
  for (const std::string& path : modules_of_class(config, files.naming)) {
    TRIREME_CHECK(
        files.peft.selects(spell(path), path == "lm_head") == terms.contains(path), DataError, folder.string(),
        "target_modules must select the adapted modules and no others; got {}, which is {}; nothing was kept.",
        spell(path), terms.contains(path) ? "adapted and not selected" : "selected and not adapted");
  }
}

}  // namespace

void write_adapter_folder(const std::filesystem::path& folder, Lmm& model, const AdapterExport& options) {
  const auto terms = terms_of(model);
  TRIREME_CHECK(options.naming != AdapterNaming::kBaseModel || !terms.contains("lm_head"), ConfigError, "export",
                "adapter_naming base_model is of the class without a head; got LoRA on lm_head, which it would leave "
                "out; choose modern or legacy.");
  const Spelling spell{tensor_naming(options.naming), !model.config.vision};
  AtomicFile config(folder / "adapter_config.json");
  config.write(dump_json(config_json(terms, model.config, options, spell), 2) + "\n");
  config.commit();
  const auto layers = lora_modules(model.config);
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (const auto& [path, term] : terms) {
    const std::string prefix = "base_model.model." + spell(path);
    const StoredShapes shapes = stored_shapes(layers.at(path), term->a.size(0));
    const auto stored = [](const torch::Tensor& x) { return x.detach().to(torch::kCPU, torch::kFloat32).contiguous(); };
    tensors.emplace_back(prefix + ".lora_A.weight", stored(term->a).view(shapes.a));
    tensors.emplace_back(prefix + ".lora_B.weight", stored(term->b).view(shapes.b));
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
}

void check_adapter_folder(const std::filesystem::path& folder, Lmm& model) {
  const auto terms = terms_of(model);
  const Adapter adapter = read_adapter(folder, model.config);
  for (const auto& [path, term] : terms) {
    const auto written = adapter.modules.find(path);
    TRIREME_CHECK(written != adapter.modules.end(), DataError, folder.string(),
                  "every LoRA pair of the model must be in the adapter that is written; got none for {}; nothing was "
                  "kept, check the disk.",
                  path);
    const auto same = [](const torch::Tensor& a, const torch::Tensor& b) {
      return at::equal(a.to(torch::kFloat32), b.detach().to(torch::kCPU, torch::kFloat32));
    };
    constexpr double kScaleTolerance = 1e-12;
    TRIREME_CHECK(same(written->second.a, term->a) && same(written->second.b, term->b) &&
                      std::abs(written->second.scale - term->scale) <= kScaleTolerance * term->scale,
                  DataError, folder.string(),
                  "the adapter that is written must hold the model's values; got others for {}; nothing was kept, "
                  "check the disk.",
                  path);
  }
  TRIREME_CHECK(adapter.modules.size() == terms.size(), DataError, folder.string(),
                "the adapter that is written must hold the model's {} pairs; got {}; nothing was kept.", terms.size(),
                adapter.modules.size());
  require_selection(folder, terms, model.config);
}

}  // namespace trireme
