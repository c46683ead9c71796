#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/console.h"

namespace trireme {

enum class ProgressStyle {
  kBar,    ///< a bar on the console's status line: terminals
  kLines,  ///< a plain line every few seconds: pipes and files
  kNone,   ///< every rank but 0
};

struct ProgressOptions {
  ProgressStyle style = ProgressStyle::kNone;
  /// What is going on: "embed".
  std::string label;
  /// What is counted, in the plural: "records".
  std::string unit;
  /// Units in all, of all ranks; nullopt when unknown: no percentage, no ETA.
  std::optional<int64_t> total = std::nullopt;
  std::chrono::seconds seconds_per_line{10};
  /// Columns of the terminal.
  int64_t columns = 80;
};

/// How far a long piece of work is, how fast, and when it will be done.
///   bar    "embed  42% [########            ] 4200/10000 records  81.2 records/s  ETA 1:11"
///   lines  "embed: 4200 of 10000 records, 81.2 records/s, ETA 1:11"
///   end    "embed: 10000 records in 2:03, 81.3 records/s"
/// The rate is the mean since the start. One thread at a time.
class Progress {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  Progress(Console& console, ProgressOptions options, Clock clock = std::chrono::steady_clock::now);
  /// Without finish() (an exception): takes the bar away, so that the error line stands alone.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t units);
  /// The last word: total units, time, rate.
  void finish();

 private:
  std::string bar(double elapsed_s) const;
  std::string line(double elapsed_s) const;
  std::string rate_and_rest(double elapsed_s, std::string_view separator) const;

  Console& console_;
  ProgressOptions options_;
  Clock clock_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_show_;
  int64_t done_ = 0;
  bool finished_ = false;
};

}  // namespace trireme
