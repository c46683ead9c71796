#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/log.h"
#include "core/tensor.h"

namespace trireme {

/// Sums of a few named values over all ranks and the steps since the last line of the curves. They stay on the model's
/// device until they are read, so a GPU is not waited for in between.
class RunningSums {
 public:
  /// names: of the values, without "totals."; what checkpoints know them by.
  RunningSums(Communicator& communicator, c10::Device device, std::vector<std::string> names);

  /// shares: this rank's part of each of a step's values, 0-dim, in the order of the names. Collective: one small
  /// all-reduce.
  void add(std::span<const torch::Tensor> shares);
  /// A value for add().
  torch::Tensor share(double value) const;
  int64_t steps() const noexcept { return steps_; }

  /// The sums, in the order of the names, and starts anew. Waits for the device.
  std::vector<double> take();

  /// What each step has added (its values over all ranks, in the order of the names), for the steps since the last
  /// call, in order. Waits for the device. Memory: 8 bytes a value and step until then.
  std::vector<std::vector<double>> read_steps();

  /// What a checkpoint between two lines must keep, so that a resumed run writes the lines of an unbroken one: sums by
  /// "totals.NAME". Waits for the device.
  std::map<std::string, double> state() const;
  /// Sums of other names (a checkpoint of another version of the program) are left alone, and `log` says that the next
  /// line counts from here.
  void restore(const std::map<std::string, double>& counters, Log& log);

 private:
  Communicator& communicator_;
  std::vector<std::string> keys_;  ///< "totals.NAME"
  torch::Tensor sums_;             ///< float64
  int64_t steps_ = 0;
  std::vector<torch::Tensor> unread_;  ///< each step's values, float64
};

}  // namespace trireme
