#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "data/loader/step_sampler.h"

namespace trireme {

using NamedValues = std::vector<std::pair<std::string, double>>;

/// A value of the curves, train/NAME: the mean over the steps since the last line; or, as a ratio, what the parts of
/// those steps amount to together over what their wholes do.
struct Curve {
  std::string_view name;
  bool is_ratio = false;
};

/// This rank's part of a curve's value in one step: the SUM over ranks is the step's. 0-dim tensors on any device.
struct Measurement {
  torch::Tensor part;
  torch::Tensor whole = {};  ///< of a ratio
};

/// What the loop knows of this rank's share of a step's batch, whatever is in it.
struct BatchFacts : StepBatch {
  int64_t tokens = 0, images = 0;
};
/// Of a StepBatch with counts_of().
template <class Batch>
BatchFacts facts_of(const Batch& batch) {
  const auto counts = counts_of(batch);
  return {batch, counts.tokens, counts.images};
}

}  // namespace trireme
