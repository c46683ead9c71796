#include "launch/phase_progress.h"

#include <utility>

namespace trireme {

void PhaseProgress::show(std::string_view phase, std::string_view unit, int64_t done, int64_t of) {
  if (phase != phase_) {
    finish();
    phase_ = phase;
    shown_ = 0;
    progress_.emplace(job_.console, job_.progress(phase_, std::string(unit), of));
  }
  progress_->advance(done - std::exchange(shown_, done));
}

void PhaseProgress::finish() {
  if (progress_) progress_->finish();
  progress_.reset();
}

}  // namespace trireme
