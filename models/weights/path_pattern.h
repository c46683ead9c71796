#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace trireme {

/// A regular expression over module paths, in the syntax that Python's `re` and PCRE2 share (groups, classes,
/// look-around, `(?P<name>..)`); `$` means the very end.
/// throws DataError at `where`, naming `field`: no regular expression (says where it breaks), or a match that
/// backtracks without end.
class PathPattern {
 public:
  PathPattern(std::string pattern, std::string where, std::string field);
  /// As a user writes it in a config, and PEFT in its patterns: for a whole path, or the end of one after a dot.
  static PathPattern of_path_end(std::string_view pattern, std::string where, std::string field);
  ~PathPattern();
  PathPattern(PathPattern&&) noexcept;
  PathPattern& operator=(PathPattern&&) noexcept;

  /// Python's re.fullmatch.
  bool matches(std::string_view path) const;
  /// Python's re.match (from the start, not necessarily to the end) and the text of one named group in it; nullopt
  /// without a match or when the group took no part.
  std::optional<std::string> group_at_start(std::string_view path, const char* group) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace trireme
