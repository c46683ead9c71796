#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/tensor.h"
#include "models/lmm.h"

namespace trireme {

struct MergedExport {
  /// The hub folder that the model was made from: its config.json, tokenizer and processor files go along, and its
  /// spelling of tensor names is kept.
  std::filesystem::path source;
  c10::ScalarType dtype = torch::kFloat32;
  int64_t max_shard_bytes = 5'000'000'000;
};

/// W + scale * B A of every LoRA term of one module, in float32.
torch::Tensor merged_weight(const LinearModule& module);

/// The model's configuration once its LoRA is merged: a tied head with LoRA of its own becomes a head of its own.
ModelConfig merged_config(const Lmm& model);

/// Writes the whole model with its LoRA merged in as a hub folder that transformers and vLLM load: config.json (its
/// dtype set, and tie_word_embeddings as merged_config() has it), model.safetensors or shards with their index, and the
/// source's other files. Merged in float32, then cast. Nothing of `model` changes.
/// throws DataError: a file of the source missing, disk full; LoRA on a head that neither model nor source has.
void write_merged_folder(const std::filesystem::path& folder, Lmm& model, const MergedExport& options);

/// Whether a hub folder holds weights in the form that is read here.
bool has_weights(const std::filesystem::path& folder);

}  // namespace trireme
