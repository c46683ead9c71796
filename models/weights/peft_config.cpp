#include "models/weights/peft_config.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/error.h"
#include "core/io/quote.h"
#include "models/json_object.h"

namespace trireme {
namespace {

constexpr int64_t kMaxRank = 1 << 16;

/// Options of PEFT that do not touch what a trained adapter computes: training, bookkeeping, and what is read below.
constexpr std::array kHarmless{
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
    "velora_config",
};

struct Refusal {
  std::string_view option, advice;
};
/// Options that change what the adapter computes; any other key that is not off is refused with a general text.
constexpr std::array kRefusals{
    Refusal{"use_dora", "DoRA is not supported"},
    Refusal{"lora_bias", "LoRA with a bias is not supported"},
    Refusal{"fan_in_fan_out", "transposed weights (GPT-2's Conv1D) are not supported"},
    Refusal{"modules_to_save",
            "an adapter with fully trained modules is not supported; merge it into the base in PEFT"},
    Refusal{"layer_replication", "replicated layers are not supported"},
    Refusal{"trainable_token_indices", "trained token embeddings are not supported; merge them into the base in PEFT"},
    Refusal{"target_parameters", "LoRA on bare parameters is not supported"},
    Refusal{"alora_invocation_tokens", "activated LoRA, which acts from those tokens on, is not supported"},
    Refusal{"use_qalora", "QA-LoRA, which pools a layer's input, is not supported"},
    Refusal{"use_bdlora", "block-diagonal LoRA is not supported"},
    Refusal{"arrow_config", "Arrow, which chooses among adapters by the input, is not supported"},
    Refusal{"kasa_config", "KaSA, which changes the base at load, is not supported"},
    Refusal{"monteclora_config", "MonteCLoRA is not supported"},
    Refusal{"megatron_config", "Megatron's layers are not supported"},
};
/// Initialisations that leave the base weights alone; MiCA only freezes B. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA take
/// the first A and B out of the base, so their adapters mean nothing on the plain one.
constexpr std::array<std::string_view, 4> kPlainInitialisations{"gaussian", "eva", "orthogonal", "mica"};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void require_plain_lora(const JsonObject& fields) {
  const std::string type = fields.get<std::string>("peft_type");
  TRIREME_CHECK(type == "LORA", DataError, fields.file(),
                "peft_type must be \"LORA\"; got {}; other kinds of adapters are not supported.", quote_text(type));
  for (const auto& [option, advice] : kRefusals)
    TRIREME_CHECK(fields.is_off(option), DataError, fields.file(), "{} must be off; got {}; {}.", option,
                  fields.shown(option), advice);
  const std::string bias = fields.find<std::string>("bias").value_or("none");
  TRIREME_CHECK(bias == "none", DataError, fields.file(),
                "bias must be \"none\"; got {}; trained biases are not supported; merge the adapter in PEFT.",
                quote_text(bias));
  if (fields.is_string("init_lora_weights")) {
    const std::string init = fields.get<std::string>("init_lora_weights");
    const bool plain = std::ranges::find(kPlainInitialisations, lower(init)) != kPlainInitialisations.end();
    TRIREME_CHECK(plain, DataError, fields.file(),
                  "init_lora_weights must leave the base as it is; got {}, whose A and B belong to a base that it has "
                  "changed; convert the adapter in PEFT (save_pretrained with "
                  "path_initial_model_for_weight_conversion).",
                  quote_text(init));
  }
  for (const std::string& key : fields.keys())
    TRIREME_CHECK(fields.is_off(key) || std::find(kHarmless.begin(), kHarmless.end(), key) != kHarmless.end(),
                  DataError, fields.file(),
                  "an adapter's options must be known; got {} = {}; merge the adapter in PEFT, or set it to null if it "
                  "does not matter.",
                  quote_text(key), fields.shown(key));
}

/// A string stays a regular expression, or is "all-linear"; a list may also be a single name (layers_pattern).
std::optional<ModuleSelection> read_selection(const JsonObject& fields, std::string_view key) {
  if (fields.is_off(key)) return std::nullopt;
  if (!fields.is_string(key)) return ModuleSelection(fields.get<std::vector<std::string>>(key));
  std::string text = fields.get<std::string>(key);
  if (lower(text) == "all-linear" && key == "target_modules") return ModuleSelection(AllLinear{});
  return ModuleSelection(std::in_place_type<PathPattern>, std::move(text), fields.file(), std::string(key));
}

template <class T>
std::vector<PatternValue<T>> read_patterns(const JsonObject& fields, std::string_view key) {
  std::vector<PatternValue<T>> patterns;
  if (fields.is_off(key)) return patterns;
  const auto object = fields.get<JsonObject>(key);
  for (const std::string& pattern : object.keys())
    patterns.push_back(
        {PathPattern(fmt::format("(.*\\.)?({})", pattern), fields.file(), std::string(key)), object.get<T>(pattern)});
  return patterns;
}

void read_layers(const JsonObject& fields, PeftConfig& config) {
  if (fields.is_array("layers_to_transform"))
    config.layers = fields.get<std::vector<int64_t>>("layers_to_transform");
  else if (const auto layer = fields.find<int64_t>("layers_to_transform"))
    config.layers = {*layer};
  std::vector<std::string> lists;
  if (fields.is_array("layers_pattern"))
    lists = fields.get<std::vector<std::string>>("layers_pattern");
  else if (!fields.is_off("layers_pattern"))
    lists = {fields.get<std::string>("layers_pattern")};
  for (const std::string& list : lists)
    config.layer_index.emplace_back(fmt::format("(?:^|.*?\\.){}\\.(?P<idx>\\d+)\\.", list), fields.file(),
                                    "layers_pattern");
  if (lists.empty()) config.layer_index.emplace_back(".*?\\.[^.]*\\.(?P<idx>\\d+)\\.", fields.file(), "layers_pattern");
}

template <class T>
T value_of(const std::vector<PatternValue<T>>& patterns, std::string_view path, T otherwise) {
  for (const PatternValue<T>& entry : patterns)
    if (entry.pattern.matches(path)) return entry.value;
  return otherwise;
}

bool in_layers(const PeftConfig& config, std::string_view path) {
  for (const PathPattern& pattern : config.layer_index)
    if (const auto index = pattern.group_at_start(path, "idx"))
      return std::any_of(config.layers.begin(), config.layers.end(),
                         [&](int64_t layer) { return std::to_string(layer) == *index; });
  return false;
}

bool listed(const std::vector<std::string>& names, std::string_view path) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return names_module(name, path); });
}

bool is_in(const ModuleSelection& selection, std::string_view path, bool is_head) {
  if (const auto* names = std::get_if<std::vector<std::string>>(&selection)) return listed(*names, path);
  if (const auto* pattern = std::get_if<PathPattern>(&selection)) return pattern->matches(path);
  return !is_head;
}

}  // namespace

bool names_module(std::string_view target, std::string_view module_path) {
  if (module_path == target) return true;
  return module_path.size() > target.size() && module_path.ends_with(target) &&
         module_path[module_path.size() - target.size() - 1] == '.';
}

int64_t PeftConfig::rank_of(std::string_view module_path) const { return value_of(rank_pattern, module_path, rank); }
double PeftConfig::alpha_of(std::string_view module_path) const { return value_of(alpha_pattern, module_path, alpha); }

bool PeftConfig::selects(std::string_view module_path, bool is_head) const {
  if (excluded && is_in(*excluded, module_path, is_head)) return false;
  if (!targets) return true;
  if (!is_in(*targets, module_path, is_head)) return false;
  // As in PEFT, a regular expression and a whole path already say which layers.
  const auto* names = std::get_if<std::vector<std::string>>(&*targets);
  if (names == nullptr || layers.empty()) return true;
  const bool whole_path = std::find(names->begin(), names->end(), module_path) != names->end();
  return whole_path || in_layers(*this, module_path);
}

PeftConfig read_peft_config(const std::filesystem::path& adapter_config_json) {
  const JsonObject fields = JsonObject::read(adapter_config_json);
  require_plain_lora(fields);
  PeftConfig config;
  config.rank = fields.get<int64_t>("r");
  TRIREME_CHECK(config.rank > 0 && config.rank <= kMaxRank, DataError, fields.file(),
                "r must be in 1..{}; got {}; correct the file.", kMaxRank, config.rank);
  config.alpha = fields.get<double>("lora_alpha");
  config.rslora = fields.find<bool>("use_rslora").value_or(false);
  config.dropout = fields.find<double>("lora_dropout").value_or(0.0);
  TRIREME_CHECK(config.dropout >= 0 && config.dropout < 1, DataError, fields.file(),
                "lora_dropout must be at least 0 and below 1; got {}; correct the file.", config.dropout);
  config.rank_pattern = read_patterns<int64_t>(fields, "rank_pattern");
  config.alpha_pattern = read_patterns<double>(fields, "alpha_pattern");
  config.targets = read_selection(fields, "target_modules");
  config.excluded = read_selection(fields, "exclude_modules");
  read_layers(fields, config);
  config.base_model_name = fields.find<std::string>("base_model_name_or_path").value_or("");
  return config;
}

}  // namespace trireme
