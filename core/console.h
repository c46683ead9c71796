#pragma once

#include <mutex>
#include <ostream>
#include <string>
#include <string_view>

namespace trireme {

/// The one owner of a text stream that log lines and a progress bar share: whole lines go above the status, which stays
/// on the last line. On anything but a terminal there is no status. What a terminal would obey in a text is shown, not
/// sent (printable()). Safe to use from several threads.
class Console {
 public:
  /// `terminal`: whether the stream understands carriage return and "erase line" (launch/ asks isatty).
  Console(std::ostream& stream, bool terminal);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool terminal() const noexcept { return terminal_; }
  /// One line, without its end-of-line.
  void line(std::string_view text);
  /// Replaces the status line; empty removes it. Ignored unless terminal().
  void status(std::string_view text);

 private:
  void erase_status();

  std::mutex mutex_;
  std::ostream& stream_;
  bool terminal_;
  std::string status_;
};

}  // namespace trireme
