#include "trainers/run_validation.h"

#include <chrono>

#include "core/elapsed.h"

namespace trireme {

bool RunValidation::due(int64_t step, bool is_last) const {
  return evaluate_ && (is_last || (step + 1) % every_steps_ == 0);
}

StepRecord RunValidation::evaluate(int64_t step, Communicator& communicator, Log& log, RunGuard& guard) {
  const auto begin = std::chrono::steady_clock::now();
  const ValidationScores scores = evaluate_(communicator, [&guard](const std::string& where) {
    guard.end({"the validation's embeddings must be finite", fmt::format("NaN or infinity for {}", where)});
  });
  best_.add(step + 1, scores.best_value);
  log.info("after step {}: {} {:.4f}, {}", step + 1, scores.best_key, scores.best_value,
           best_is(step) ? std::string("the best so far")
                         : fmt::format("the best was {:.4f} after step {}", best_.value(), *best_.steps_done()));
  if (exhausted()) {
    log.info("the run ends here: no better one in {} evaluations (validation.patience)", best_.worse_evaluations());
  }
  return {step, scores.values, {{"time/validation_s", seconds_since(begin)}}};
}

std::vector<int64_t> RunValidation::pinned_steps() const {
  if (!best_.steps_done()) return {};
  return {*best_.steps_done()};
}

void RunValidation::restore(const Counters& counters) {
  if (evaluate_) best_.restore(counters);
}

}  // namespace trireme
