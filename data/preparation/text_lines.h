#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// A line of a text file, without its end-of-line; a view of the text it was cut from.
struct TextLine {
  std::string_view text;
  int64_t number = 0;  ///< from 1
  std::string file;

  /// "emoji-test.txt:17", for messages.
  std::string where() const;
};

std::vector<TextLine> lines_of(std::string_view text, const std::filesystem::path& file);

/// The non-empty parts between separators.
std::vector<std::string_view> split_text(std::string_view text, char separator);

/// Without blanks, tabs and carriage returns at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace trireme
