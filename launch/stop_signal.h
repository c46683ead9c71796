#pragma once

#include <csignal>
#include <map>

namespace trireme {

/// While it lives, SIGTERM and SIGUSR1 do not end this process but are remembered, for the trainer to write a
/// checkpoint after the step under way and leave with exit code 75. A second signal of the same kind ends the process
/// as usual. At most one at a time.
/// mpirun passes SIGUSR1 to all ranks; after SIGTERM it kills them within a second unless it was started with
/// `--mca odls_base_sigkill_timeout 60`, and Slurm sends what `sbatch --signal` names.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// One load: call it every step.
  bool requested() const noexcept;

 private:
  std::map<int, struct sigaction> old_actions_;
};

/// The exit code of a run that stopped after a checkpoint: starting it again goes on.
inline constexpr int kStoppedExitCode = 75;

}  // namespace trireme
