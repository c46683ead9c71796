#include "trainers/skipped.h"

namespace trireme {

void log_skipped(int64_t step, const std::vector<SkippedPair>& skipped, Log& log) {
  for (const SkippedPair& pair : skipped) {
    log.warning("step {}: {} was left out ({}); {} came in its place", step, pair.query_id, pair.reason,
                pair.replacement);
  }
}

}  // namespace trireme
