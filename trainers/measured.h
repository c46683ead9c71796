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
struct BatchFacts {
  int64_t step = 0;
  int64_t tokens = 0, images = 0;
  double waited_s = 0;                             ///< for the loader
  std::vector<std::string> query_ids, target_ids;  ///< for messages
  std::vector<SkippedPair> skipped;
};
/// Of PairBatch, RerankBatch.
template <class Batch>
BatchFacts facts_of(const Batch& batch) {
  const auto counts = counts_of(batch);
  return {batch.step, counts.tokens, counts.images, batch.waited_s, batch.query_ids, batch.target_ids, batch.skipped};
}

}  // namespace trireme
