#include "trainers/best_so_far.h"

namespace trireme {

void BestSoFar::add(int64_t steps_done, double value) {
  if (steps_done_ && value <= value_) {
    ++worse_evaluations_;
    return;
  }
  steps_done_ = steps_done;
  value_ = value;
  worse_evaluations_ = 0;
}

std::map<std::string, double> BestSoFar::state() const {
  if (!steps_done_) return {};
  return {{"best.steps_done", static_cast<double>(*steps_done_)},
          {"best.value", value_},
          {"best.worse_evaluations", static_cast<double>(worse_evaluations_)}};
}

void BestSoFar::restore(const std::map<std::string, double>& counters) {
  if (!counters.contains("best.steps_done")) return;
  steps_done_ = static_cast<int64_t>(counters.at("best.steps_done"));
  value_ = counters.at("best.value");
  worse_evaluations_ = static_cast<int64_t>(counters.at("best.worse_evaluations"));
}

}  // namespace trireme
