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

/// What the batches of all recipes say: of one rank's B rows of one step's global batch.
struct StepBatch {
  int64_t step = 0;
  std::vector<std::string> query_ids, target_ids;  ///< [B] as the files have them, for messages
  std::vector<SkippedPair> skipped;                ///< this rank's, in order of their rows; empty under on_error: stop
  int64_t clashes_global = 0;                      ///< GlobalBatch::clashes
  double waited_s = 0;                             ///< how long BatchStream::next() waited for this batch
};

/// The pairs of a rank, and what comes in the place of those that cannot be read: PairSampler for loading threads.
/// Safe to use from several threads.
class StepSampler {
 public:
  /// A pair of a share, read.
  struct Row {
    TrainingPair pair;
    SampledPair drawn;
    const PairSource& source;
    int64_t step, global_row;
  };
  /// About how many tokens a pair of that size has; pairs are dealt to ranks by it.
  using TokensOf = std::function<int64_t(const PairSize&)>;

  /// set outlives the sampler.
  /// throws ConfigError: pairs_global is not a multiple of the ranks; what PairSampler refuses.
  StepSampler(const TrainingSet& set, const DataConfig& config, uint64_t seed, LoaderRank rank, TokensOf tokens_of);

  StepShare share(int64_t step);

  /// Hands row `row` of the share to `take`, with data.hard_negatives negatives; under on_error: skip a pair that
  /// cannot be read, or for which `take` throws DataError, is replaced by others of its stream until one can be taken,
  /// and every one left out is returned.
  /// throws what reading and `take` throw; DataError: no replacement in kMaxReplacements tries.
  std::vector<SkippedPair> read(const StepShare& share, std::size_t row, const std::function<void(Row)>& take);

  static constexpr int64_t kMaxReplacements = 16;

 private:
  TrainingPair read(const SampledPair& pair, int64_t hard_negatives) const;
  SampledPair replacement(int64_t step, int64_t global_row, int64_t& attempt);

  const TrainingSet& set_;
  int64_t hard_negatives_;
  OnDataError on_error_;
  LoaderRank rank_;
  TokensOf tokens_of_;
  std::mutex mutex_;  ///< of the sampler, but for what is const
  PairSampler sampler_;
};

}  // namespace trireme
