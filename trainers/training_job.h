#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <c10/core/Device.h>

#include "core/console.h"
#include "core/distributed/communicator.h"
#include "core/log.h"
#include "core/progress.h"

namespace trireme {

/// What a recipe is given to work with, on every rank alike.
struct TrainingJob {
  Communicator& communicator;
  Console& console;
  Log& log;
  std::function<ProgressOptions(std::string label, std::string unit, std::optional<int64_t> total)> progress;
  /// Whether this process was asked to stop (SIGTERM, SIGUSR1) since it started.
  std::function<bool()> stop_requested;
  /// The most memory this process has had at a time (resident), in bytes.
  std::function<int64_t()> peak_memory_bytes;
  c10::Device device = c10::kCPU;  ///< of this rank's model
};

/// How a run ended, other than by an error.
enum class TrainingEnd {
  kFinished,
  kStopped,  ///< asked to; a checkpoint is written, and the same command goes on from it
};

}  // namespace trireme
