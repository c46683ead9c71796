#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace trireme {

/// Where a value came from: a line of the config file from 1 on, or one of these.
inline constexpr int64_t kNoLine = 0;
inline constexpr int64_t kCommandLine = -1;

/// User text as it may stand in a message: control characters and broken UTF-8 as \x1b, cut at `max_bytes` with "...".
std::string shown(std::string_view text, std::size_t max_bytes = 60);

/// Gathers everything that is wrong with a config, so that it is told at once. The most that is kept and shown is about
/// a screen; the rest is counted.
class ConfigReport {
 public:
  /// `where` is the [place] of the error; `file` is put before line numbers, "" when there is no file.
  explicit ConfigReport(std::string where, std::string file = {});

  /// A whole sentence about the value at `path` ("optim.peak_lr"; "" for the config itself): "required; got; do".
  void add(int64_t line, std::string_view path, std::string text);
  /// The common sentence, "NAME must be REQUIRED; got GOT; REMEDY.", with the line and the name that belong to `path`.
  void refuse(std::string_view path, std::string_view required, std::string_view got, std::string_view remedy);

  /// The line a value came from, and for a path that was never set the one of the section around it.
  void set_line(std::string_view path, int64_t line);
  int64_t line_of(std::string_view path) const;
  /// How messages call a key when not by its path: "--rope-mode".
  void set_name(std::string_view path, std::string name);
  std::string name_of(std::string_view path) const;
  /// Every path that the config knows; a wrong key may be the right one of another section.
  void set_known_paths(std::vector<std::string> paths) { known_paths_ = std::move(paths); }
  const std::vector<std::string>& known_paths() const noexcept { return known_paths_; }

  bool any() const noexcept { return count_ > 0; }
  /// Whether there is a problem with the value at `path` or with anything in it.
  bool any_within(std::string_view path) const;
  /// throws ConfigError with all problems in one line, those of the file first, by line.
  void throw_if_any() const;

 private:
  struct Problem {
    int64_t line;
    std::string path, text;
  };
  ConfigError error() const;
  std::string location(int64_t line) const;

  std::string where_, file_;
  std::vector<Problem> problems_;  ///< the first ones
  int64_t count_ = 0;
  std::set<std::string, std::less<>> refused_paths_;
  std::map<std::string, int64_t, std::less<>> lines_;
  std::map<std::string, std::string, std::less<>> names_;
  std::vector<std::string> known_paths_;
};

/// What a config struct's `void check(Problems&) const` reports to: rules between fields, run once each field by itself
/// is right. The sentence follows the field's name:
///   if (warmup_steps > total_steps)
///     problems.add("warmup_steps", fmt::format("must be at most total_steps; got {} and {}; lower it", ...));
class Problems {
 public:
  Problems(ConfigReport& report, std::string section) : report_(report), section_(std::move(section)) {}
  void add(std::string_view field, std::string_view text);

 private:
  ConfigReport& report_;
  std::string section_;
};

}  // namespace trireme
