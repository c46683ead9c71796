#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace trireme {

/// Which process a rank is, as other ranks can tell: only processes of one kernel and one PID namespace see each
/// other's numbers. Plain bytes: ranks exchange it as it is.
struct ProcessIdentity {
  int64_t pid = 0;
  uint64_t pid_namespace = 0;
  std::array<char, 40> boot_id{};
  bool sees(const ProcessIdentity& other) const {
    return pid_namespace == other.pid_namespace && boot_id == other.boot_id;
  }
};
/// Of this process.
ProcessIdentity identify_process();

/// Notices the death of ranks on this host within a few hundredths of a second, so that a job whose rank was killed
/// ends by naming it instead of by the timeout. MPI itself does not tell. For core/distributed/*.cpp only.
class PeerWatch {
 public:
  /// processes: of every rank, by rank. Those that cannot be watched (another host or container, a kernel before 5.3)
  /// are left to the timeout.
  PeerWatch(std::span<const ProcessIdentity> processes, int64_t rank);
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  /// The lowest rank whose process has ended; nullopt while all that are watched live. Looks 50 times a second at most,
  /// so it may be asked in a polling loop.
  std::optional<int64_t> gone();
  /// Ranks, among those watched, whose process is held: by SIGSTOP, Ctrl-Z or a debugger. Reads /proc.
  std::vector<int64_t> stopped() const;

 private:
  struct Peer {
    int64_t rank, pid;
    int descriptor;  ///< a pidfd: readable once the process has ended
  };
  std::vector<Peer> peers_;
  std::chrono::steady_clock::time_point next_look_{};
  std::optional<int64_t> gone_;
};

}  // namespace trireme
