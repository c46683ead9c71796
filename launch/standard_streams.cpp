#include "launch/standard_streams.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/mapping_fault.h"
#include "core/printable.h"

namespace trireme {
namespace {

/// Opens the stream on /dev/null if it is closed.
void require_open(int stream, int flags) {
  if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) return;
  const int opened = ::open("/dev/null", flags);  // the lowest free number: this one, since those below are open
  if (opened >= 0 && opened != stream) {
    ::dup2(opened, stream);
    ::close(opened);
  }
}

}  // namespace

void meet_failures_of_files() {
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  survive_mapping_faults();
  require_open(STDIN_FILENO, O_RDONLY);
  require_open(STDOUT_FILENO, O_RDONLY);  // not for writing: print() shall fail
  require_open(STDERR_FILENO, O_WRONLY);
}

void print(std::string_view lines) {
  require_mappings_whole();
  const std::string shown = printable_lines(lines);
  std::string_view text = shown;
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    const int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number == EAGAIN) {  // someone who shares the pipe made it non-blocking
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&ready, 1, -1);
      continue;
    }
    throw DataError("output", fmt::format("standard output must take all that is printed; got \"{}\"; free its disk, "
                                          "keep its reader, or send it elsewhere (> FILE).",
                                          std::generic_category().message(error_number)));
  }
}

}  // namespace trireme
