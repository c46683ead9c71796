#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/model_config.h"

namespace trireme {

/// Every tensor that a checkpoint of this configuration holds, by canonical name (models/weights/tensor_names.h), with
/// its shape. lm_head.weight is among them only when the head is not tied. Reads no file.
std::map<std::string, std::vector<int64_t>> tensor_shapes(const ModelConfig& config);

}  // namespace trireme
