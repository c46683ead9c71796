#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme {

/// What `inspect` says of something: a title, and below it a line "  name  value" per fact, the values aligned.
class Facts {
 public:
  explicit Facts(std::string_view title);
  /// Both fit for a terminal.
  void add(std::string_view name, std::string_view value);
  const std::string& text() const noexcept { return text_; }  ///< ends with a newline

 private:
  std::string text_;
};

/// "1,234,567"
std::string with_commas(int64_t number);
/// "1 head", "2 heads"
std::string counted(int64_t count, std::string_view noun);

}  // namespace trireme
