#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "core/distributed/communicator.h"
#include "core/distributed/connect.h"
#include "core/log.h"
#include "core/progress.h"
#include "launch/device.h"
#include "trainers/training_job.h"

namespace trireme {

class FieldList;

/// Options of every verb that works for long: how it runs, never what it computes.
struct JobOptions {
  int64_t threads = 0;
  int64_t timeout_s = 600;
  bool verify = false;
  std::optional<std::filesystem::path> log_dir;

  void describe(FieldList& v);
};

/// What a verb works with, on every rank alike.
struct Job {
  Communicator& communicator;
  Console& console;
  Log& log;
  c10::Device device;  ///< of this rank's model

  /// A bar on a terminal, lines elsewhere; silent on every rank but 0. `total`: units of all ranks.
  ProgressOptions progress(std::string label, std::string unit, std::optional<int64_t> total) const;
  /// What a recipe works with; this job outlives it.
  TrainingJob training(std::function<bool()> stop_requested);
};

/// Sets the threads, joins the ranks, runs `work` on each, and returns the exit code for main(): the work's own, or the
/// code of the error that ended the job, whose one line the rank that failed has printed.
/// device: where the verb's model runs; verbs without one stay on the CPU. throws ConfigError, before the ranks meet:
/// what choose_device() refuses.
int run_job(const LaunchInfo& launch, const JobOptions& options, const std::function<int(Job&)>& work,
            DeviceChoice device = DeviceChoice::kCpu);

}  // namespace trireme
