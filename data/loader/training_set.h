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
  int64_t pairs = 0;                ///< records that can be drawn
  int64_t candidates = 0;           ///< documents in the pool; 0 where there is none
  int64_t missing_positives = 0;    ///< positives that the pool lacks, left out under allow_missing_positives
  int64_t dropped_queries = 0;      ///< queries left without a positive
  int64_t without_negatives = 0;    ///< queries that no negatives were mined for
  int64_t modality_mismatches = 0;  ///< records taken under allow_modality_mismatch
};

/// The sources of a run, opened, indexed and checked; immutable, safe to read from several threads.
/// Memory: about 26 bytes a pair and its positives' row numbers; 27 to 33 bytes a candidate. Texts and images stay in
/// the files.
class TrainingSet {
 public:
  /// hard_negatives: for M-BEIR sources; nullptr = those of the queries' neg_cand_list; outlives the set.
  /// throws DataError: whatever is wrong with the files.
  explicit TrainingSet(const DataConfig& config, const HardNegatives* hard_negatives = nullptr);

  int64_t pairs() const noexcept;
  /// Steps after which every pair was drawn once, but for the last pairs_global - 1 at most, which are others in each
  /// epoch: floor(pairs() / pairs_global). Under weights it is the same number, an epoch in length only.
  int64_t steps_per_epoch() const noexcept { return pairs() / pairs_global_; }
  const std::vector<SourceSummary>& summaries() const noexcept { return summaries_; }
  const PairSource& source(int64_t i) const { return *sources_[static_cast<std::size_t>(i)]; }
  int64_t source_count() const noexcept { return static_cast<int64_t>(sources_.size()); }

 private:
  int64_t pairs_global_;
  std::vector<std::unique_ptr<PairSource>> sources_;
  std::vector<SourceSummary> summaries_;
};

}  // namespace trireme
