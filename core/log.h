#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/core.h>

#include "core/console.h"

namespace trireme {

enum class LogLevel { kDebug, kInfo, kWarning };

struct LogOptions {
  /// Lines below it are dropped, on the console and in the file.
  LogLevel level = LogLevel::kInfo;
  int64_t rank = 0;
  /// Every rank also writes DIRECTORY/rank_3.log, rank 0 too; created if missing, appended to.
  std::optional<std::filesystem::path> directory = std::nullopt;
};

/// What the program tells while it works: "12:03:59 info: .." Rank 0 speaks to the console. Other ranks are silent
/// there, except that without a directory their warnings come through, with their rank: "12:03:59 warning: rank 3: ..".
/// There is no error level: an error is an exception, and launch/ prints its one line.
/// Safe to use from several threads.
/// throws DataError: directory or file not writable.
class Log {
 public:
  Log(Console& console, const LogOptions& options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kDebug, format, fmt::make_format_args(args...));
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kInfo, format, fmt::make_format_args(args...));
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kWarning, format, fmt::make_format_args(args...));
  }

 private:
  struct Sinks;
  void write(LogLevel level, fmt::string_view format, fmt::format_args args);

  std::unique_ptr<Sinks> sinks_;
};

}  // namespace trireme
