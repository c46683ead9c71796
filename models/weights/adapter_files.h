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
  const SafetensorsEntry* a = nullptr;  ///< [r, in]; of a convolution [r, channels, kernel..]
  const SafetensorsEntry* b = nullptr;  ///< [out, r]; of a convolution [out, r, 1..]
};

/// An adapter folder as it stands, before any base model is known: every pair whole, of the rank that
/// adapter_config.json says, and selected by its target_modules. Move-only.
/// A tensor is named [base_model.model.]MODULE.lora_A[.NAME].weight: PEFT writes the prefix and leaves the adapter's
/// NAME out; transformers' own save can leave out the first, a plain state_dict holds the second. What wraps modules
/// for torch.compile, FSDP or checkpointing (_orig_mod, ..) is not part of MODULE.
struct AdapterFiles {
  std::filesystem::path tensor_file;
  PeftConfig peft;
  SafetensorsFile tensors;                   ///< what `pairs` points into
  std::map<std::string, LoraEntries> pairs;  ///< by module path as the file spells it, without `base_model.model.`
  /// Whole tensors of the base that PEFT saves beside LoRA on the head, or when told save_embedding_layers: by
  /// canonical name, model.embed_tokens.weight and lm_head.weight alone.
  std::map<std::string, const SafetensorsEntry*> base_copies;
  TensorNaming naming = TensorNaming::kOld;

  double scale_of(std::string_view path) const;  ///< alpha / r, or alpha / sqrt(r) (rsLoRA)
};

/// throws DataError, ShapeError: all of read_adapter's that need no base model.
AdapterFiles read_adapter_files(const std::filesystem::path& folder);

}  // namespace trireme
