#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
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
/// Not needed by an embedder and therefore never asked to be taken: `*.inv_freq` buffers, and lm_head.weight. The head
/// is checked here instead: an untied one must be in the file with shape [vocab_size, hidden_size], unless the files
/// are in base-model naming (saved without a head); a tied one in the file is ignored. throws DataError: see
/// read_model_config and SafetensorsFolder; pytorch_model.bin only; two file names for one tensor;
///        a dtype other than bfloat16, float16, float32 (files may mix these); the untied head absent. ShapeError: its
///        shape.
/// cost   headers and mmap only; a page is read when a tensor's values are.
class HubCheckpoint {
 public:
  explicit HubCheckpoint(const std::filesystem::path& folder);

  const ModelConfig& config() const noexcept { return config_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  TensorNaming naming() const noexcept { return naming_; }

  bool has(std::string_view canonical_name) const noexcept;
  /// The header entry: dtype and shape as stored, name as in the file. throws DataError when absent.
  const SafetensorsEntry& entry(std::string_view canonical_name) const;
  /// Canonical names of all tensors but the tolerated `inv_freq` and tied-head ones, sorted.
  std::vector<std::string> names() const;

  /// Zero-copy view of the mapped file, in the stored dtype, on the CPU; the mapping lives as long as the tensor.
  /// throws DataError when absent (says which names are near), ShapeError unless the stored shape is `expected_shape`.
  torch::Tensor take(std::string_view canonical_name, at::IntArrayRef expected_shape);
  /// throws DataError naming the first surplus tensors, as the file spells them, and their count.
  void require_all_taken() const;

  /// The safetensors files, sorted by name: what weights_sha256() is taken over.
  std::vector<std::filesystem::path> weight_files() const { return files_.paths(); }
  /// sha256 over the contents of weight_files() one after the other; 64 hex digits. About 1.5 GB/s: for a large model
  /// run it on another thread, `std::async([files = checkpoint.weight_files()] { return sha256_hex_of_files(files);
  /// })`.
  std::string weights_sha256() const;

 private:
  const std::string& file_name_of(std::string_view canonical_name) const;
  void check_head() const;

  std::filesystem::path path_;
  ModelConfig config_;
  SafetensorsFolder files_;
  TensorNaming naming_ = TensorNaming::kOld;
  std::map<std::string, std::string, std::less<>> file_name_of_;  ///< canonical -> as in the file
  std::set<std::string, std::less<>> taken_;
};

}  // namespace trireme
