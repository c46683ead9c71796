#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "data/loader/pair_sampler.h"

namespace trireme {

/// Which of the ranks that share the global batch.
struct LoaderRank {
  int64_t rank = 0, ranks = 1;
};

/// A pair that could not be read, and what came in its place.
struct SkippedPair {
  int64_t global_row = 0;
  std::string query_id;     ///< of the pair that was left out
  std::string reason;       ///< the DataError's text, which names file, line and image
  std::string replacement;  ///< query id of the pair that was read instead
};

/// One rank's pairs of one step, in ascending order of their number in the global batch.
struct StepShare {
  int64_t step = 0;
  int64_t clashes = 0;  ///< GlobalBatch::clashes
  std::vector<int64_t> global_rows;
  std::vector<SampledPair> pairs;
};

/// The pairs of a rank, and what comes in the place of those that cannot be read: PairSampler for loading threads.
/// Safe to use from several threads.
class StepSampler {
 public:
  /// set outlives the sampler.
  /// throws ConfigError: pairs_global is not a multiple of the ranks; what PairSampler refuses.
  StepSampler(const TrainingSet& set, const DataConfig& config, uint64_t seed, LoaderRank rank);

  /// tokens_of: about how many tokens a pair of that size has; pairs are dealt to ranks by it.
  StepShare share(int64_t step, const std::function<int64_t(const PairSize&)>& tokens_of);

  /// Reads row `row` of the share with `read`, which returns the query's id; under on_error: skip a pair for which it
  /// throws DataError is replaced by others of its stream until one can be read, and every one left out is returned.
  /// throws what `read` throws; DataError: no replacement in kMaxReplacements tries.
  std::vector<SkippedPair> read(const StepShare& share, std::size_t row,
                                const std::function<std::string(const SampledPair&)>& read);

  /// What PairSource::read() draws from.
  RandomStream stream_of(const SampledPair& pair) const { return sampler_.stream_of(pair); }
  const PairSource& source(const SampledPair& pair) const { return set_.source(pair.source); }

  static constexpr int64_t kMaxReplacements = 16;

 private:
  SampledPair replacement(int64_t step, int64_t global_row, int64_t& attempt);

  const TrainingSet& set_;
  OnDataError on_error_;
  LoaderRank rank_;
  std::mutex mutex_;  ///< of the sampler, but for what is const
  PairSampler sampler_;
};

}  // namespace trireme
