#include "data/preparation/text_lines.h"

#include <algorithm>

#include <fmt/format.h>

namespace trireme {

std::string TextLine::where() const { return fmt::format("{}:{}", file, number); }

std::vector<TextLine> lines_of(std::string_view text, const std::filesystem::path& file) {
  std::vector<TextLine> lines;
  const std::string name = file.string();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back({text.substr(begin, end - begin), std::ssize(lines) + 1, name});
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string_view> split_text(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace trireme
