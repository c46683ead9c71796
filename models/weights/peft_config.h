#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/weights/path_pattern.h"

namespace trireme {

/// Which modules: leaf names or whole paths; a regular expression over whole paths; every linear layer but the head.
struct AllLinear {};
using ModuleSelection = std::variant<std::vector<std::string>, PathPattern, AllLinear>;

template <class T>
struct PatternValue {
  PathPattern pattern;
  T value;
};

/// What in PEFT's adapter_config.json decides values. Module paths here are spelled as the adapter spells them (without
/// `base_model.model.`), because that is what its patterns were written for. Source: peft 0.21.
struct PeftConfig {
  int64_t rank = 0;
  double alpha = 0;
  bool rslora = false;
  double dropout = 0;                               ///< lora_dropout: of training alone
  std::vector<PatternValue<int64_t>> rank_pattern;  ///< in the order of the file; `(.*\.)?(key)` already around each
  std::vector<PatternValue<double>> alpha_pattern;  ///< likewise
  std::optional<ModuleSelection> targets;           ///< nullopt: the file does not say
  std::optional<ModuleSelection> excluded;          ///< never AllLinear
  std::vector<int64_t> layers;                      ///< layers_to_transform; empty = all
  std::vector<PathPattern> layer_index;             ///< the first that matches has the layer's number in group "idx"
  std::string base_model_name;                      ///< "" when the file does not say

  /// PEFT's get_pattern_key: the first pattern that matches the path, or its end after a dot; else the common value.
  int64_t rank_of(std::string_view module_path) const;
  double alpha_of(std::string_view module_path) const;
  /// PEFT's check_target_module_exists; true when the file does not say.
  bool selects(std::string_view module_path, bool is_head) const;
};

/// A target_modules entry names a path when it equals it, or its end after a dot.
bool names_module(std::string_view target, std::string_view module_path);

/// throws DataError: a field missing or of the wrong type; anything but plain LoRA, by name (see read_adapter); a
/// pattern that is no regular expression.
PeftConfig read_peft_config(const std::filesystem::path& adapter_config_json);

}  // namespace trireme
