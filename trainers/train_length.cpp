#include "trainers/train_length.h"

#include <algorithm>
#include <cmath>

namespace trireme {

int64_t total_steps(const TrainLengthConfig& train, int64_t steps_per_epoch) {
  if (train.steps) return *train.steps;
  return std::max<int64_t>(1, std::llround(*train.epochs * static_cast<double>(steps_per_epoch)));
}

}  // namespace trireme
