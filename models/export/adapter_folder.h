#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "models/lmm.h"

namespace trireme {

/// How the keys of an adapter spell module paths: those of the class that will load it.
enum class AdapterNaming {
  kModern,    ///< model.language_model.layers..: ..ForConditionalGeneration since transformers 4.52, vLLM
  kLegacy,    ///< model.layers..: transformers < 4.52; PEFT on newer ones finds none of its keys
  kBaseModel  ///< language_model.layers..: Qwen2VLModel and its like, AutoModel
};
constexpr auto choice_names(AdapterNaming) {
  return std::to_array<std::pair<AdapterNaming, std::string_view>>({{AdapterNaming::kModern, "modern"},
                                                                    {AdapterNaming::kLegacy, "legacy"},
                                                                    {AdapterNaming::kBaseModel, "base_model"}});
}

struct AdapterExport {
  AdapterNaming naming = AdapterNaming::kModern;
  std::string base_model_name;  ///< base_model_name_or_path: what loaders fetch when they are given the adapter alone
  bool rslora = false;          ///< say so in the file, and give alpha accordingly; the scale is the same either way
};

/// Writes adapter_config.json and adapter_model.safetensors of the model's LoRA terms, as PEFT saves them, into an
/// existing folder: float32, nothing but lora_A and lora_B. target_modules is a list of the last parts of paths
/// (q_proj, mlp.0) where that selects exactly the adapted modules (with exclude_modules for the vision tower if
/// needed), else of whole paths; ranks and scales that differ go to rank_pattern and alpha_pattern.
/// throws ConfigError: no LoRA in the model, two terms on one layer, LoRA on lm_head in base_model naming. DataError:
///        disk full.
void write_adapter_folder(const std::filesystem::path& folder, Lmm& model, const AdapterExport& options);

/// Reads the folder back: every pair must be the model's, to the bit, and none more or less; and of all modules of the
/// class that the naming is of, target_modules must select these by PEFT's rule.
/// throws DataError: names the first module that is not, or whatever read_adapter finds.
void check_adapter_folder(const std::filesystem::path& folder, Lmm& model);

}  // namespace trireme
