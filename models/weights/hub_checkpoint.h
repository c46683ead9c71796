#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/safetensors.h"
#include "core/tensor.h"
#include "models/model_config.h"
#include "models/weights/tensor_names.h"

namespace trireme {

/// The weights of a Hugging Face folder under canonical names (models/weights/tensor_names.h), whichever of the three
/// spellings the files use. Tensors are handed out one by one and ticked off, so nothing in the file goes unused:
///   HubCheckpoint checkpoint(folder);
///   auto q = checkpoint.take("model.layers.0.self_attn.q_proj.weight", {heads * head_dim, hidden_size});
///   ...
///   checkpoint.require_all_taken();
/// Harmless and never asked to be taken: `*.inv_freq` buffers, and a head that nobody asks for. unused() names them.
/// The head is as transformers 5 has it, whatever config.json says of it. Tied, by the root or text_config: the
/// embeddings, which may lie in the files as lm_head.weight alone; with both in the files, equal ones are one, and
/// different ones are two: config() then says that the head is not tied. Not tied: it must be in the files with shape
/// [vocab_size, hidden_size], unless they are in base-model naming (saved without a head).
/// throws DataError: see read_model_config and SafetensorsFolder; pytorch_model.bin only; two file names for one
///        tensor; a dtype other than bfloat16, float16, float32 (files may mix these); the untied head absent.
///        ShapeError: its shape.
/// cost   headers and mmap only; a page is read when a tensor's values are. Where a head that is said to be tied lies
///        beside the embeddings, both are read to compare them.
class HubCheckpoint {
 public:
  explicit HubCheckpoint(const std::filesystem::path& folder);

  const ModelConfig& config() const noexcept { return config_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  TensorNaming naming() const noexcept { return naming_; }

  bool has(std::string_view canonical_name) const noexcept;
  /// The header entry: dtype and shape as stored, name as in the file. throws DataError when absent.
  const SafetensorsEntry& entry(std::string_view canonical_name) const;
  /// Canonical names of all tensors but `inv_freq` and the second copy of tied embeddings, sorted.
  std::vector<std::string> names() const;
  /// Whether the files hold the head that config.json ties, with other values than the embeddings.
  bool untied_by_files() const noexcept { return untied_by_files_; }

  /// Zero-copy view of the mapped file, in the stored dtype, on the CPU; the mapping lives as long as the tensor.
  /// throws DataError when absent (says which names are near), ShapeError unless the stored shape is `expected_shape`.
  torch::Tensor take(std::string_view canonical_name, at::IntArrayRef expected_shape);
  /// throws DataError naming the first surplus tensors, as the file spells them, and their count.
  void require_all_taken() const;
  /// What is harmless and not used, each with its reason: "lm_head.weight (nothing here asks for the vocabulary's
  /// scores)". Fit for a terminal. Whether a head of its own is used is known after load_model().
  std::vector<std::string> unused() const;

  /// The safetensors files, sorted by name: what weights_sha256() is taken over.
  std::vector<std::filesystem::path> weight_files() const { return files_.paths(); }
  /// sha256 over the contents of weight_files() one after the other; 64 hex digits. About 1.5 GB/s: for a large model
  /// run it on another thread, `std::async([files = checkpoint.weight_files()] { return sha256_hex_of_files(files);
  /// })`.
  std::string weights_sha256() const;

 private:
  const std::string& file_name_of(std::string_view canonical_name) const;
  void settle_head();

  std::filesystem::path path_;
  ModelConfig config_;
  SafetensorsFolder files_;
  TensorNaming naming_ = TensorNaming::kOld;
  std::map<std::string, std::string, std::less<>> file_name_of_;  ///< canonical -> as in the file
  std::set<std::string, std::less<>> taken_;
  std::vector<std::string> buffers_;      ///< `inv_freq`, as in the files
  std::optional<std::string> tied_copy_;  ///< the head beside equal embeddings, as in the files
  bool untied_by_files_ = false;
};

}  // namespace trireme
