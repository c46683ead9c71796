#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/model_config.h"
#include "models/weights/tensor_names.h"

namespace trireme {

/// What `inspect` says of a hub folder. Reads config.json and the headers of the weight files, no weights.
struct CheckpointDescription {
  /// "embeddings", "decoder", "head", "vision tower", "merger": those that the model has, in this order.
  struct Part {
    std::string name;
    int64_t tensors = 0, parameters = 0;
  };
  std::filesystem::path path;
  ModelConfig config;
  TensorNaming naming = TensorNaming::kOld;
  std::vector<Part> parts;
  std::map<std::string, int64_t> parameters_by_dtype;  ///< "bfloat16" -> count
  std::vector<std::filesystem::path> weight_files;     ///< sorted
  std::string weights_sha256;  ///< "" here, as it reads all weights: sha256_hex_of_files(weight_files), by the caller
  uint64_t weight_bytes = 0;
  std::vector<std::string> files_present;  ///< of the ones embed reads beside the weights: tokenizer.json, ..
  std::vector<std::string> files_absent;
  std::vector<std::string> missing, misshapen, surplus;  ///< as text for a terminal; empty for a model that loads
  std::vector<std::string> unused;                       ///< HubCheckpoint::unused(): harmless
  bool untied_by_files = false;                          ///< config.json ties the head that the files have apart
  int64_t lora_parameters_per_rank = 0;                  ///< over the seven decoder linears of all layers

  int64_t parameters() const;
};

/// What `inspect` says of an adapter folder, without its base model.
struct AdapterDescription {
  /// Modules with the same leaf name, rank and scale: "q_proj", 28 of them.
  struct Group {
    std::string leaf;
    int64_t rank = 0, modules = 0, parameters = 0;
    double alpha = 0, scale = 0;
  };
  std::filesystem::path path;
  std::string base_model_name, sha256;
  TensorNaming naming = TensorNaming::kOld;
  bool rslora = false;
  int64_t decoder_modules = 0, vision_modules = 0, head_modules = 0;
  std::vector<std::string> base_copies;  ///< tensors of the base that lie beside the pairs
  std::vector<Group> groups;
  std::map<std::string, int64_t> parameters_by_dtype;

  int64_t parameters() const;  ///< trainable: all of them
};

/// throws DataError, ShapeError as HubCheckpoint does; tensors that are missing, surplus or of another shape are
/// described, not thrown.
CheckpointDescription describe_checkpoint(const std::filesystem::path& folder);
/// throws DataError, ShapeError as read_adapter does, as far as no base model is needed.
AdapterDescription describe_adapter(const std::filesystem::path& folder);

/// True for a folder with adapter_config.json and no config.json beside it.
bool is_adapter_folder(const std::filesystem::path& folder);

/// For a person to read: what it is, then one line "  name  value" per fact; ends with a newline.
std::string text_of(const CheckpointDescription& description);
std::string text_of(const AdapterDescription& description);

}  // namespace trireme
