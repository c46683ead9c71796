#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"
#include "data/image/preprocess.h"
#include "data/loader/model_input.h"
#include "data/sources/records.h"
#include "data/tokenizer/tokenizer.h"
#include "models/model_config.h"

namespace trireme {

/// What a checkpoint's folder says beside its weights.
struct ModelInputs {
  /// throws what read_model_config, Tokenizer and image_processor_of throw.
  explicit ModelInputs(const std::filesystem::path& folder) : ModelInputs(folder, read_model_config(folder)) {}
  ModelInputs(const std::filesystem::path& folder, const ModelConfig& model_shape);
  /// For loaders, which this outlives.
  ModelInput model_input() const { return {tokenizer, shape.image_token_id, image_processor}; }

  ModelConfig shape;
  Tokenizer tokenizer;
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
};

/// How the checkpoint wants its images; empty for a text-only model.
/// throws DataError: what read_image_processor_config refuses; preprocessor_config.json cuts patches otherwise than the
/// vision tower of config.json takes them.
std::optional<ImageProcessorConfig> image_processor_of(const std::filesystem::path& checkpoint,
                                                       const ModelConfig& model);

/// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
void require_fits(const RecordFile& records, const ModelConfig& model, const ImageRoot& image_root);

/// Names what was read and is not used: a line for each.
void log_unused(const std::vector<std::string>& unused, Log& log);

}  // namespace trireme
