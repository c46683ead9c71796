#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/tensors.h"
#include "models/weights/tensor_names.h"

namespace trireme {

/// y = W x + scale * B (A x). Source: LoRA, arXiv:2106.09685, sec. 4.1; scale alpha / r, or alpha / sqrt(r) (rsLoRA,
/// arXiv:2312.03732).
struct LoraPair {
  torch::Tensor
      a;  ///< [r, in], stored dtype, view of the mapped file; of a convolution, whose patches are flattened, too
  torch::Tensor b;  ///< [out, r], likewise
  double scale = 0;
  double alpha = 0;
  int64_t rank() const { return a.size(0); }
};

/// A PEFT LoRA adapter, as far as it touches the model: every pair fits the module it names.
struct Adapter {
  std::map<std::string, LoraPair>
      modules;  ///< by canonical module path: model.layers.0.self_attn.q_proj, visual.blocks..
  std::filesystem::path path;
  std::string sha256;           ///< of adapter_model.safetensors
  std::string base_model_name;  ///< base_model_name_or_path; "" when the config has none
  TensorNaming naming = TensorNaming::kOld;
  bool rslora = false;
  double dropout = 0;  ///< lora_dropout: of training alone
  /// Tensors of the base that PEFT saved along, by canonical name, of the base's shape. attach_adapter compares them.
  std::map<std::string, torch::Tensor> base_copies;
};

/// Reads adapter_config.json and adapter_model.safetensors in any of PEFT's three namings (after `base_model.model.`)
/// and spellings (models/weights/adapter_files.h).
/// The keys in the file decide which modules are adapted (decoder, vision tower with the convolution that cuts patches,
/// lm_head); target_modules (leaf names, a regex, "all-linear") is checked against them, r / rank_pattern against the
/// shapes; alpha_pattern is matched by PEFT's rule: the first key for which the regex `(.*\.)?(key)$` matches the
/// module path.
/// throws DataError: a file missing or broken; adapter_model.bin only; peft_type other than LORA; DoRA, lora_bias, bias
///        other than "none", fan_in_fan_out, modules_to_save, layer_replication, trainable_token_indices,
///        target_parameters, lora_embedding_*, any other tensor or non-default option that changes values (each by
///        name); a module that the model lacks; one half of a pair missing; a module outside target_modules, or a
///        target without tensors; a rank other than r or rank_pattern says; tensors of two adapters.
///        ShapeError: a pair that does not fit its module (names the module and both shapes: an adapter for another
///        base), or a copy of the base's embeddings or head of another shape (a vocabulary that was resized).
/// cost   headers and mmap, and the sha256 of the adapter's file.
Adapter read_adapter(const std::filesystem::path& folder, const ModelConfig& config);

/// Hangs the adapter's pairs, unmerged, on the layers they name and returns their number. A second adapter adds to the
/// first. What an adapter's file has of the base is compared with it, as far as the model holds that.
/// throws DataError: no pair, a module that the model lacks, or a copy of the base's embeddings or head with other
///        values than the model's (up to the rounding of the coarser dtype). ShapeError: a pair that does not fit.
int64_t attach_adapter(const ModelTensors& model, const Adapter& adapter);

/// What of the adapter is harmless and not used, each with its reason, as HubCheckpoint::unused() has it. head: whether
/// the vocabulary's scores are asked for.
std::vector<std::string> unused_tensors(const Adapter& adapter, bool head);

}  // namespace trireme
