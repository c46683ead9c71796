#include "core/console.h"

namespace trireme {
namespace {

constexpr std::string_view kEraseLine = "\r\x1b[K";

}  // namespace

Console::Console(std::ostream& stream, bool terminal) : stream_(stream), terminal_(terminal) {}

Console::~Console() { status({}); }

void Console::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  // One write each, so that lines of other processes on the same stream come between ours, not into them.
  std::string out;
  if (!status_.empty()) out += kEraseLine;
  out.append(text).append("\n").append(status_);
  stream_.write(out.data(), std::ssize(out)).flush();
}

void Console::status(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (!terminal_ || text == status_) return;
  status_ = text;
  const std::string out = std::string(kEraseLine) + status_;
  stream_.write(out.data(), std::ssize(out)).flush();
}

}  // namespace trireme
