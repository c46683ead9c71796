#include "models/lora.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/quote.h"
#include "core/rng.h"
#include "models/weights/path_pattern.h"

namespace trireme {

void LoraConfig::describe(FieldList& v) {
  v.field("rank", rank, "r: rows of A, columns of B.").between(1, 1 << 16);
  v.field("alpha", alpha, "The term is scaled by alpha / r, or by alpha / sqrt(r) with rslora.").positive();
  v.field("dropout", dropout, "Chance of each of the term's input values to be left out of a training step.")
      .between(0, 0.95);
  v.field("rslora", rslora, "Scale by alpha / sqrt(r), arXiv:2312.03732.");
  v.field("target_modules", target_modules,
          "Which linear layers. Each entry is a regular expression for a whole module path or its end after a dot: "
          "q_proj; model\\.layers\\..*; visual\\.blocks\\..*; lm_head. The default is every linear of the decoder's "
          "layers.")
      .non_empty();
  v.field("exclude_modules", exclude_modules, "Layers to leave out of them, told in the same way.");
}
static_assert(field_count<LoraConfig>() == 6, "describe() must list every field");
namespace {

/// "q_proj, k_proj, ..": what the entries of target_modules are written about.
std::string leaf_names(const std::vector<LinearModule>& modules) {
  std::vector<std::string> names;
  for (const LinearModule& module : modules) {
    std::string leaf = module.path.substr(module.path.rfind('.') + 1);
    if (std::find(names.begin(), names.end(), leaf) == names.end()) names.push_back(std::move(leaf));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// For each module whether an entry names it. throws ConfigError when one names none.
std::vector<bool> named_modules(const std::vector<LinearModule>& modules, const std::vector<std::string>& entries,
                                const char* field) {
  std::vector<bool> named(modules.size());
  for (const std::string& entry : entries) {
    const PathPattern pattern = PathPattern::of_path_end(entry, "lora", field);
    bool any = false;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      if (!pattern.matches(modules[i].path)) continue;
      named[i] = any = true;
    }
    TRIREME_CHECK(any, ConfigError, "lora",
                  "every entry of {} must match a linear layer; got {}, which matches none of {} ({}, ..; they end in "
                  "{}); correct it.",
                  field, quote_text(entry), modules.size(), modules.front().path, leaf_names(modules));
  }
  return named;
}

torch::Tensor kaiming_uniform(int64_t rank, int64_t in_features, uint64_t seed, const std::string& path) {
  RandomStream stream = random_stream(seed, "lora.init." + path);
  const double bound = 1.0 / std::sqrt(static_cast<double>(in_features));
  auto a = at::empty({rank, in_features}, at::TensorOptions(torch::kFloat32));
  float* values = a.mutable_data_ptr<float>();
  for (int64_t i = 0; i < a.numel(); ++i) values[i] = static_cast<float>(bound * (2 * stream.uniform() - 1));
  return a;
}

void require_free(const LinearModule& module) {
  const auto& terms = module.layer->lora;
  TRIREME_CHECK(
      std::none_of(terms.begin(), terms.end(), [&](const LoraTerm& term) { return term.path == module.path; }),
      ConfigError, "lora",
      "a layer takes one LoRA term in training; got {}, which carries one already; merge the adapter into "
      "the model first, or train it further without a new one.",
      module.path);
}

}  // namespace

LoraCount attach_lora(const ModelTensors& model, const LoraConfig& config, uint64_t seed) {
  const auto modules = linear_layers(model);
  const auto targets = named_modules(modules, config.target_modules, "target_modules");
  const auto excluded = named_modules(modules, config.exclude_modules, "exclude_modules");
  const auto rank = static_cast<double>(config.rank);
  const double scale = config.alpha / (config.rslora ? std::sqrt(rank) : rank);
  std::vector<const LinearModule*> selected;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (!targets[i] || excluded[i]) continue;
    TRIREME_CHECK(!modules[i].tied, ConfigError, "lora",
                  "LoRA on {0} needs a head of its own; got one that is tied to the embedding; exclude {0}.",
                  modules[i].path);
    require_free(modules[i]);
    selected.push_back(&modules[i]);
  }
  TRIREME_CHECK(!selected.empty(), ConfigError, "lora",
                "target_modules without exclude_modules must leave a linear layer; got none of {}; exclude fewer.",
                modules.size());

  LoraCount count;
  const auto options = at::TensorOptions(lora_dtype(model)).device(model.device);
  for (const LinearModule* module : selected) {
    const auto a = kaiming_uniform(config.rank, module->in_features, seed, module->path).to(options);
    const auto b = at::zeros({module->rows, config.rank}, options);
    module->layer->lora.push_back({a, b, scale, module->row_begin, module->path, config.dropout});
    ++count.modules;
    count.parameters += config.rank * (module->in_features + module->rows);
  }
  return count;
}

void set_lora_dropout(const ModelTensors& model, double probability) {
  for (const LinearModule& module : lora_layers(model)) {
    for (LoraTerm& term : module.layer->lora) term.dropout = probability;
  }
}

}  // namespace trireme
