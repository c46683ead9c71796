#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace trireme {

/// Between two polls of a transport. Busy at first, for collectives in shared memory take microseconds, but yielding
/// the core, which another rank may need; then naps, each followed by some polls, because a large transfer moves a
/// piece per poll. For core/distributed/*.cpp only.
class Pause {
 public:
  void operator()() {
    if (++polls_ < kBusyPolls || polls_ % kPollsPerNap != 0) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }

 private:
  static constexpr int64_t kBusyPolls = 20'000;
  static constexpr int64_t kPollsPerNap = 32;
  static constexpr std::chrono::microseconds kNap{100};
  int64_t polls_ = 0;
};

}  // namespace trireme
