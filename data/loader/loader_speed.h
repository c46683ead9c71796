#pragma once

#include <chrono>
#include <cstdint>
#include <iterator>

#include "core/elapsed.h"

namespace trireme {

/// What a loader does alone, with nobody to wait for.
struct LoaderSpeed {
  int64_t threads = 0;  ///< of a rank
  int64_t steps = 0, pairs = 0, images = 0, tokens = 0, skipped = 0;
  int64_t records = 0;         ///< queries, targets and hard negatives; of a reranker's: its sequences
  int64_t clashes_global = 0;  ///< of all ranks' batches
  double seconds = 0;
  double records_per_s() const { return static_cast<double>(records) / seconds; }
};

/// Takes `steps` batches from a training stream as fast as they come. The steps that are queued already when it begins
/// are taken first and not counted. Config: DataConfig, or another with its loader_threads and queued_steps.
template <class Batches, class Config>
LoaderSpeed measure_loader(Batches& batches, const Config& config, int64_t steps) {
  for (int64_t i = 0; i <= config.queued_steps; ++i) batches.next();
  LoaderSpeed speed{.threads = config.loader_threads};
  const auto begin = std::chrono::steady_clock::now();
  for (; speed.steps < steps; ++speed.steps) {
    const auto batch = batches.next();
    const auto counts = counts_of(batch);
    speed.records += counts.sequences;
    speed.images += counts.images;
    speed.tokens += counts.tokens;
    speed.pairs += std::ssize(batch.query_ids);
    speed.skipped += std::ssize(batch.skipped);
    speed.clashes_global += batch.clashes_global;
  }
  speed.seconds = seconds_since(begin);
  return speed;
}

}  // namespace trireme
