#pragma once

#include <cstdint>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/named_tensors.h"
#include "models/trainable.h"

namespace trireme {

/// What the loop knows of a recipe's model, whatever its kind.
struct TrainedTensors {
  BaseModel base;                      ///< named in checkpoints
  NamedTensors leaves;                 ///< what trains, the same order on every rank: the last one's gradient is first
  std::vector<TensorStatus> statuses;  ///< trainable.json: every tensor of the model
  int64_t weight_bytes = 0;            ///< of the model's tensors
};

}  // namespace trireme
