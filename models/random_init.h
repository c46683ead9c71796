#pragma once

#include <cstdint>
#include <optional>

#include "models/lmm.h"
#include "models/load_options.h"

namespace trireme {

/// How a model begins that is trained from scratch. Linear layers and the patch embedding are normal with standard
/// deviation `linear_std`, the token embedding with `embedding_std`; norms are 1, biases 0. At the usual 0.02 a narrow
/// model does not begin to learn: 1/sqrt(width) keeps the size of what goes through a layer.
struct RandomInit {
  uint64_t seed = 0;
  std::optional<double> linear_std;  ///< not set: 1/sqrt(width) of the tower, TensorSlot::width
  double embedding_std = 0.02;
};

/// Values for each tensor of any model, by its kind; they depend on the seed and the tensor's name alone, and are
/// drawn in float32. throws ConfigError: a standard deviation that is not positive.
/// cost   about 40 ns a weight, on one thread.
TakeTensor random_weights(const RandomInit& init);

/// A model of this configuration with such values. throws as random_weights; ConfigError: a dtype that is not floating.
Lmm random_model(const ModelConfig& config, const RandomInit& init, const LoadOptions& options);

}  // namespace trireme
