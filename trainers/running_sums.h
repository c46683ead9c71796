#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/dist/communicator.h"
#include "core/tensor.h"

namespace trireme {

/// Sums of a few values over all ranks and the steps since the last line of the curves. They stay on the model's device
/// until they are read, so a GPU is not waited for in between.
class RunningSums {
 public:
  RunningSums(Communicator& communicator, c10::Device device, int64_t values);

  /// shares: this rank's part of each of a step's values, 0-dim. Collective: one small all-reduce.
  void add(std::span<const torch::Tensor> shares);
  /// A value for add().
  torch::Tensor share(double value) const;
  int64_t steps() const noexcept { return steps_; }

  /// The sums, and starts anew. Waits for the device.
  std::vector<double> take();

  /// What a checkpoint between two lines must keep, so that a resumed run writes the lines of an unbroken one. Waits
  /// for the device.
  std::map<std::string, double> state() const;
  void restore(const std::map<std::string, double>& counters);

 private:
  Communicator& communicator_;
  torch::Tensor sums_;  ///< float64
  int64_t steps_ = 0;
};

}  // namespace trireme
