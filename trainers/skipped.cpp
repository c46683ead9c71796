#include "trainers/skipped.h"

namespace trireme {

void log_skipped(int64_t step, const std::vector<SkippedPair>& skipped, Log& log) {
  for (const SkippedPair& pair : skipped) {
    log.warning("step {}: {} was left out ({}); {} came in its place", step, pair.query_id, pair.reason,
                pair.replacement);
  }
}

void log_allowed(const TrainingSet& set, Log& log) {
  for (const SourceSummary& source : set.summaries()) {
    if (source.missing_positives > 0)
      log.warning("{}: {} positives are not in the pool and were left out, with {} queries that have no other",
                  source.name, source.missing_positives, source.dropped_queries);
    if (source.modality_mismatches > 0)
      log.warning("{}: the modality of {} records contradicts what they hold; they were taken, as allowed", source.name,
                  source.modality_mismatches);
  }
}

}  // namespace trireme
