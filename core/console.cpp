#include "core/console.h"

#include <utility>

#include "core/printable.h"

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
  out.append(printable(text)).append("\n").append(status_);
  stream_.write(out.data(), std::ssize(out)).flush();
}

void Console::status(std::string_view text) {
  const std::lock_guard lock(mutex_);
  std::string shown = printable(text);
  if (!terminal_ || shown == status_) return;
  status_ = std::move(shown);
  const std::string out = std::string(kEraseLine) + status_;
  stream_.write(out.data(), std::ssize(out)).flush();
}

}  // namespace trireme
