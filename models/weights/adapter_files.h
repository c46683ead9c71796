#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/io/safetensors.h"
#include "models/weights/peft_config.h"
#include "models/weights/tensor_names.h"

namespace trireme {

/// The two halves of one module's LoRA.
struct LoraEntries {
  const SafetensorsEntry* a = nullptr;  ///< [r, in]
  const SafetensorsEntry* b = nullptr;  ///< [out, r]
};

/// An adapter folder as it stands, before any base model is known: every pair whole, of the rank that
/// adapter_config.json says, and selected by its target_modules. Move-only.
struct AdapterFiles {
  std::filesystem::path tensor_file;
  PeftConfig peft;
  SafetensorsFile tensors;                   ///< what `pairs` points into
  std::map<std::string, LoraEntries> pairs;  ///< by module path as the file spells it, without `base_model.model.`
  TensorNaming naming = TensorNaming::kOld;

  double scale_of(std::string_view path) const;  ///< alpha / r, or alpha / sqrt(r) (rsLoRA)
};

/// throws DataError, ShapeError: all of read_adapter's that need no base model.
AdapterFiles read_adapter_files(const std::filesystem::path& folder);

}  // namespace trireme
