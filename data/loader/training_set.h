#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/loader/data_config.h"
#include "data/sources/pair_source.h"

namespace trireme {

/// What `trireme train` tells about a source before it starts.
struct SourceSummary {
  std::string name;
  int64_t pairs = 0;              ///< records that can be drawn
  int64_t candidates = 0;         ///< documents in the pool; 0 where there is none
  int64_t missing_positives = 0;  ///< positives that the pool lacks, left out under allow_missing_positives
  int64_t dropped_queries = 0;    ///< queries left without a positive
};

/// The sources of a run, opened, indexed and checked; immutable, safe to read from several threads.
/// Memory: 12 bytes a query and its positives' row numbers; 24 bytes a candidate. Texts and pictures stay in the files.
class TrainingSet {
 public:
  /// throws DataError: whatever is wrong with the files. ConfigError: group weights that name no group or leave one out.
  explicit TrainingSet(const DataConfig& config);

  int64_t pairs() const noexcept;
  /// Steps after which every pair was drawn once (the last pairs_global - 1 at most are left out): floor(pairs() /
  /// pairs_global). Under weights it is the same number, an epoch only in length.
  int64_t steps_per_epoch() const noexcept;
  const std::vector<SourceSummary>& summaries() const noexcept { return summaries_; }
  const std::vector<std::unique_ptr<PairSource>>& sources() const noexcept { return sources_; }

 private:
  int64_t pairs_global_;
  std::vector<std::unique_ptr<PairSource>> sources_;
  std::vector<SourceSummary> summaries_;
};

}  // namespace trireme
