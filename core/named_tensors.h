#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace trireme {

/// Tensors under their names, in a fixed order; the names are unique. What safetensors files are written from.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

}  // namespace trireme
