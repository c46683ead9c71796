#include "core/distributed/peer_watch.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace trireme {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{20};

/// -1 where the kernel or the container's rules have no such call.
int open_pidfd(int64_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)); }

/// The kernel's letter for what a process does: R, S, D, T (stopped), t (held by a debugger), ..; 0 when it is gone.
char state_of(int64_t pid) {
  std::string stat;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/stat"), stat);
  const std::size_t name_end = stat.rfind(')');  // "4711 (trireme) S 1 .."; the name may hold anything
  return name_end == stat.npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}

}  // namespace

ProcessIdentity identify_process() {
  ProcessIdentity me{.pid = ::getpid()};
  struct stat space {};
  if (::stat("/proc/self/ns/pid", &space) == 0) me.pid_namespace = space.st_ino;
  std::string boot_id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot_id);
  std::copy_n(boot_id.begin(), std::min(boot_id.size(), me.boot_id.size()), me.boot_id.begin());
  return me;
}

PeerWatch::PeerWatch(std::span<const ProcessIdentity> processes, int64_t rank) {
  const ProcessIdentity& me = processes[static_cast<std::size_t>(rank)];
  for (int64_t other = 0; other < std::ssize(processes); ++other) {
    const ProcessIdentity& process = processes[static_cast<std::size_t>(other)];
    if (other == rank || !me.sees(process)) continue;
    if (const int descriptor = open_pidfd(process.pid); descriptor >= 0)
      peers_.push_back({other, process.pid, descriptor});
  }
}

PeerWatch::~PeerWatch() {
  for (const Peer& peer : peers_) ::close(peer.descriptor);
}

std::optional<int64_t> PeerWatch::gone() {
  const auto now = std::chrono::steady_clock::now();
  if (gone_ || peers_.empty() || now < next_look_) return gone_;
  next_look_ = now + kBetweenLooks;
  std::vector<pollfd> looks;
  for (const Peer& peer : peers_) looks.push_back({peer.descriptor, POLLIN, 0});
  if (::poll(looks.data(), looks.size(), 0) <= 0) return std::nullopt;
  const auto ended = std::ranges::find_if(looks, [](const pollfd& look) { return (look.revents & POLLIN) != 0; });
  if (ended != looks.end()) gone_ = peers_[static_cast<std::size_t>(ended - looks.begin())].rank;
  return gone_;
}

std::vector<int64_t> PeerWatch::stopped() const {
  std::vector<int64_t> ranks;
  for (const Peer& peer : peers_) {
    const char state = state_of(peer.pid);
    if (state == 'T' || state == 't') ranks.push_back(peer.rank);
  }
  return ranks;
}

}  // namespace trireme
