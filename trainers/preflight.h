#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "models/lmm.h"
#include "trainers/optim/optimizer.h"

namespace trireme {

/// Where this process's memory is. Bytes.
struct MemoryByCategory {
  int64_t weights = 0;    ///< all of the model's tensors
  int64_t gradients = 0;  ///< of the trainable ones
  int64_t optimizer = 0;  ///< the optimiser's state
  int64_t rest = 0;       ///< activations, batches under way, the program itself: what else the peak holds
  std::string text() const;
};

/// Of tensors that live now; `peak_bytes`: the process's so far.
MemoryByCategory memory_by_category(Lmm& model, const Optimizer& optimizer, int64_t peak_bytes);

/// The batch with the most tokens among the loader's next `steps`, on this rank.
template <class Loader>
auto longest_batch(Loader& loader, int64_t steps) {
  auto longest = loader.next();
  for (int64_t i = 1; i < steps; ++i) {
    auto batch = loader.next();
    if (counts_of(batch).tokens > counts_of(longest).tokens) longest = std::move(batch);
  }
  return longest;
}

}  // namespace trireme
