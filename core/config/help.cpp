#include "core/config/help.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/config/report.h"

namespace trireme {
namespace {

constexpr int64_t kKeyColumn = 26;

/// Characters, not bytes: continuation bytes of UTF-8 take no place.
int64_t width_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

std::string spaces(int64_t count) { return std::string(static_cast<std::size_t>(std::max<int64_t>(0, count)), ' '); }

/// How the key of a list's or map's elements is written: "tasks[]", "weights.NAME".
std::string element_name(const FieldDescription& field) {
  return field.kind == FieldKind::kList ? field.name + "[]" : field.name + ".NAME";
}

void add_keys(const std::vector<FieldDescription>& fields, int64_t indent, std::string& text) {
  for (const FieldDescription& field : fields) {
    if (field.kind == FieldKind::kSection) {
      text += help_lines(spaces(indent) + field.name + ":", field.help, kKeyColumn);
      add_keys(field.children, indent + 2, text);
      continue;
    }
    text += help_lines(spaces(indent) + field.name, field.help + " " + field_facts(field), kKeyColumn);
    if (field.children.empty()) continue;
    text += help_lines(spaces(indent) + element_name(field) + ":", "each of them:", kKeyColumn);
    add_keys(field.children, indent + 2, text);
  }
}

}  // namespace

std::string help_lines(std::string_view left, std::string_view words, int64_t column) {
  std::string text(left);
  int64_t at = width_of(left);
  if (at > 0 && at + 1 > column) {
    text += '\n';
    at = 0;
  }
  text += spaces(column - at);
  at = column;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    if (word.empty()) continue;
    if (at > column && at + 1 + width_of(word) > kHelpWidth) {
      text += '\n' + spaces(column);
      at = column;
    }
    if (at > column) {
      text += ' ';
      ++at;
    }
    text += word;
    at += width_of(word);
  }
  return text + '\n';
}

std::string field_facts(const FieldDescription& field) {
  std::string facts = field.type;
  for (const std::string& limit : field.limits) facts += ", " + limit;
  if (field.required) return fmt::format("[{}; required]", facts);
  return fmt::format("[{}; default {}]", facts, field.default_text == "null" ? "none" : shown(field.default_text));
}

std::string keys_help(const std::vector<FieldDescription>& fields) {
  std::string text;
  add_keys(fields, 0, text);
  return text;
}

}  // namespace trireme
