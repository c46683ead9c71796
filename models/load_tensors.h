#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/types.h>

#include "models/load_options.h"
#include "models/nn/linear.h"

namespace trireme {

class HubCheckpoint;

/// A checkpoint's tensor copied out of the file, converted and moved as `options` say. throws as HubCheckpoint::take.
torch::Tensor load_tensor(HubCheckpoint& checkpoint, const std::string& name, at::IntArrayRef shape,
                          const LoadOptions& options);

enum class Bias { kNone, kPresent };

struct LinearRows {
  std::string path;  ///< canonical module path
  int64_t rows;
};

/// The modules `parts`, which read the same input, one under the other in one layer.
Linear load_linear(HubCheckpoint& checkpoint, const std::vector<LinearRows>& parts, int64_t in_features, Bias bias,
                   const LoadOptions& options);

}  // namespace trireme
