#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/load_options.h"
#include "models/model_config.h"
#include "models/nn/linear.h"

namespace trireme {

/// Where a model's tensors come from, one by one: a checkpoint's files, or a random draw.
struct WeightSource {
  const ModelConfig& config;
  std::function<torch::Tensor(const std::string& canonical_name, at::IntArrayRef shape)> take;
};

/// A tensor of its own, converted and moved as `options` say. throws as source.take.
torch::Tensor load_tensor(const WeightSource& source, const std::string& name, at::IntArrayRef shape,
                          const LoadOptions& options);

enum class Bias { kNone, kPresent };

struct LinearRows {
  std::string path;  ///< canonical module path
  int64_t rows;
};

/// The modules `parts`, which read the same input, one under the other in one layer.
Linear load_linear(const WeightSource& source, const std::vector<LinearRows>& parts, int64_t in_features, Bias bias,
                   const LoadOptions& options);

}  // namespace trireme
