#include "launch/stop_signal.h"

#include <array>

#include "core/error.h"

namespace trireme {
namespace {

constexpr std::array kSignals = {SIGTERM, SIGUSR1};

/// A handler can reach nothing else.
volatile std::sig_atomic_t stop_asked_for = 0;

extern "C" void remember_stop(int) { stop_asked_for = 1; }

}  // namespace

StopSignal::StopSignal() {
  stop_asked_for = 0;
  struct sigaction action {};
  action.sa_handler = remember_stop;
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  for (const int signal : kSignals) {
    const int failed = ::sigaction(signal, &action, &old_actions_[signal]);
    TRIREME_ASSERT(failed == 0, "sigaction of signal {}", signal);
  }
}

StopSignal::~StopSignal() {
  for (const auto& [signal, action] : old_actions_) ::sigaction(signal, &action, nullptr);
}

bool StopSignal::requested() const noexcept { return stop_asked_for != 0; }

}  // namespace trireme
