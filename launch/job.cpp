#include "launch/job.h"

#include <iostream>

#include <ATen/Parallel.h>

#include "core/config/field_list.h"
#include "core/distributed/run_as_rank.h"
#include "launch/environment.h"

namespace trireme {

void JobOptions::describe(FieldList& v) {
  v.field("threads", threads, "Compute threads of each rank; 0 = the cores that are its share.")
      .at_least(0)
      .no_effect_on_values();
  v.field("timeout_s", timeout_s, "Seconds a rank waits for the others before the job ends.")
      .at_least(1)
      .no_effect_on_values();
  v.field("verify", verify, "Compare every collective over the ranks before it is made.").no_effect_on_values();
  v.field("log_dir", log_dir, "Folder where every rank writes its log.").no_effect_on_values();
}
static_assert(field_count<JobOptions>() == 4, "describe() must list every field");

ProgressOptions Job::progress(std::string label, std::string unit, std::optional<int64_t> total) const {
  ProgressOptions options;
  options.style = communicator.rank() != 0 ? ProgressStyle::kNone
                  : console.terminal()     ? ProgressStyle::kBar
                                           : ProgressStyle::kLines;
  options.label = std::move(label);
  options.unit = std::move(unit);
  options.total = total;
  options.columns = terminal_columns();
  return options;
}

TrainingJob Job::training(std::function<bool()> stop_requested) {
  return {communicator,
          console,
          log,
          [this](std::string label, std::string unit, std::optional<int64_t> total) {
            return progress(std::move(label), std::move(unit), total);
          },
          std::move(stop_requested),
          peak_memory_bytes,
          device};
}

int run_job(const LaunchInfo& launch, const JobOptions& options, const std::function<int(Job&)>& work,
            DeviceChoice choice) {
  at::set_num_threads(static_cast<int>(compute_threads(options.threads, launch)));
  const c10::Device device = choose_device(choice, launch);
  const auto communicator =
      connect(launch, {.timeout = std::chrono::seconds(options.timeout_s), .verify = options.verify},
              device.is_cuda() ? TensorPlace::kGpu : TensorPlace::kCpu);
  Console console(std::cerr, stderr_is_terminal());
  return run_as_rank(
      *communicator,
      [&] {
        Log log(console, {.rank = launch.rank, .directory = options.log_dir});
        Job job{*communicator, console, log, device};
        return work(job);
      },
      [&](const std::string& line) { console.line(line); });
}

}  // namespace trireme
