#include "core/config/report.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/utf8.h"

namespace trireme {
namespace {

constexpr std::size_t kMostProblemsKept = 100;
constexpr std::size_t kLongestMessageBytes = 1900;
constexpr std::string_view kSeparators = ".[";  // of "a.b" and "a[2]"

bool begins_utf8_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

/// The bytes of the UTF-8 character that `text` begins with; 0 when it begins with none.
std::size_t character_bytes(std::string_view text) {
  for (std::size_t size = 1; size <= std::min<std::size_t>(4, text.size()); ++size) {
    const bool whole = size == text.size() || begins_utf8_character(text[size]);
    if (whole) return is_valid_utf8(text.substr(0, size)) ? size : 0;
  }
  return 0;
}

std::string one_character_shown(std::string_view character) {
  const auto byte = static_cast<unsigned char>(character[0]);
  if (character == "\n") return "\\n";
  if (character == "\t") return "\\t";
  if (byte < 0x20 || byte == 0x7f) return fmt::format("\\x{:02x}", byte);
  // The C1 controls, U+0080 to U+009F: some terminals obey them.
  if (character.size() == 2 && byte == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0)
    return fmt::format("\\x{:02x}", static_cast<unsigned char>(character[1]));
  return std::string(character);
}

/// "a" of "a.b" and of "a[2]"; "" of "a".
std::string_view parent_of(std::string_view path) {
  const std::size_t end = path.find_last_of(kSeparators);
  return end == std::string_view::npos ? std::string_view{} : path.substr(0, end);
}

void end_sentence(std::string& text) {
  if (!text.ends_with('.') && !text.ends_with('?')) text += '.';
}

}  // namespace

std::string shown(std::string_view text, std::size_t max_bytes) {
  std::string result;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    const std::string piece = size == 0 ? fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]))
                                        : one_character_shown(text.substr(0, size));
    if (result.size() + piece.size() > max_bytes) return result + "...";
    result += piece;
    text.remove_prefix(std::max<std::size_t>(1, size));
  }
  return result;
}

ConfigReport::ConfigReport(std::string where, std::string file) : where_(std::move(where)), file_(std::move(file)) {}

void ConfigReport::add(int64_t line, std::string_view path, std::string text) {
  ++count_;
  refused_paths_.emplace(path);
  if (problems_.size() < kMostProblemsKept) problems_.push_back({line, std::string(path), std::move(text)});
}

void ConfigReport::refuse(std::string_view path, std::string_view required, std::string_view got,
                          std::string_view remedy) {
  add(line_of(path), path, fmt::format("{} must be {}; got {}; {}", name_of(path), required, got, remedy));
}

void ConfigReport::set_line(std::string_view path, int64_t line) { lines_.insert_or_assign(std::string(path), line); }

int64_t ConfigReport::line_of(std::string_view path) const {
  for (;; path = parent_of(path)) {
    if (const auto found = lines_.find(path); found != lines_.end()) return found->second;
    if (path.empty()) return kNoLine;
  }
}

void ConfigReport::set_name(std::string_view path, std::string name) {
  names_.insert_or_assign(std::string(path), std::move(name));
}

std::string ConfigReport::name_of(std::string_view path) const {
  if (path.empty()) return "the config";
  std::string_view known = path;
  while (!known.empty() && !names_.contains(known)) known = parent_of(known);
  if (known.empty()) return shown(path, 120);
  return names_.find(known)->second + shown(path.substr(known.size()));
}

bool ConfigReport::any_within(std::string_view path) const {
  if (path.empty()) return any();
  if (refused_paths_.contains(path)) return true;
  return std::any_of(std::begin(kSeparators), std::end(kSeparators), [&](char separator) {
    const std::string prefix = fmt::format("{}{}", path, separator);
    const auto first = refused_paths_.lower_bound(prefix);
    return first != refused_paths_.end() && first->starts_with(prefix);
  });
}

std::string ConfigReport::location(int64_t line) const {
  if (file_.empty()) return "";
  if (line == kCommandLine) return "command line: ";
  return line == kNoLine ? file_ + ": " : fmt::format("{}:{}: ", file_, line);
}

void ConfigReport::throw_if_any() const {
  if (any()) throw error();
}

ConfigError ConfigReport::error() const {
  std::vector<Problem> sorted = problems_;
  const auto rank = [](const Problem& problem) {
    return std::pair(problem.line == kCommandLine ? 2 : problem.line == kNoLine ? 1 : 0, problem.line);
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });

  if (count_ == 1) {
    std::string text = location(sorted[0].line) + sorted[0].text;
    end_sentence(text);
    return {where_, text};
  }
  std::string text = fmt::format("{} problems:", count_);
  int64_t told = 0;
  for (const Problem& problem : sorted) {
    std::string sentence = fmt::format(" ({}) {}{}", told + 1, location(problem.line), problem.text);
    end_sentence(sentence);
    if (told > 0 && text.size() + sentence.size() > kLongestMessageBytes) break;
    text += sentence;
    ++told;
  }
  if (told < count_) text += fmt::format(" And {} more; correct these first.", count_ - told);
  return {where_, text};
}

void Problems::add(std::string_view field, std::string_view text) {
  const std::string path = section_.empty() ? std::string(field) : fmt::format("{}.{}", section_, field);
  report_.add(report_.line_of(path), path, fmt::format("{} {}", report_.name_of(path), text));
}

}  // namespace trireme
