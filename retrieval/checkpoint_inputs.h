#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"
#include "data/image/preprocess.h"
#include "data/sources/records.h"
#include "models/model_config.h"

namespace trireme {

/// How the checkpoint wants its pictures; empty for a text-only model.
/// throws DataError: what read_image_processor_config refuses; preprocessor_config.json cuts patches otherwise than the
/// vision tower of config.json takes them.
std::optional<ImageProcessorConfig> image_processor_of(const std::filesystem::path& checkpoint,
                                                       const ModelConfig& model);

/// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
void require_fits(const RecordFile& records, const ModelConfig& model, const ImageRoot& image_root);

/// Names what was read and is not used: a line for each.
void tell_unused(const std::vector<std::string>& unused, Log& log);

}  // namespace trireme
