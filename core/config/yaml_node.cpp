#include "core/config/yaml_node.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/error.h"

namespace trireme {
namespace {

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '/';
}

/// Whether any YAML reader, old or new, takes the bare text for a string.
bool reads_as_string_bare(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kTaken{"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_word_character)) return false;
  const bool starts_as_name = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') ||
                              text[0] == '_' || text[0] == '/' || text.starts_with("./") || text.starts_with("../");
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return starts_as_name && std::find(kTaken.begin(), kTaken.end(), lower) == kTaken.end();
}

/// Line breaks that only some YAML readers know, and the byte order mark: NEL, LS, PS, BOM.
std::string_view escape_of(std::string_view text) {
  if (text.starts_with("\xc2\x85")) return "\\u0085";
  if (text.starts_with("\xe2\x80\xa8")) return "\\u2028";
  if (text.starts_with("\xe2\x80\xa9")) return "\\u2029";
  if (text.starts_with("\xef\xbb\xbf")) return "\\uFEFF";
  return {};
}

std::string in_double_quotes(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    if (const std::string_view escape = escape_of(text); !escape.empty()) {
      result += escape;
      text.remove_prefix(escape == "\\u0085" ? 2 : 3);
      continue;
    }
    if (byte == '"' || byte == '\\') {
      result += '\\';
      result += text[0];
    } else if (byte == '\n') {
      result += "\\n";
    } else if (byte == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += text[0];
    }
    text.remove_prefix(1);
  }
  return result + '"';
}

std::string string_text(std::string_view text) {
  return reads_as_string_bare(text) ? std::string(text) : in_double_quotes(text);
}

bool is_container(const YamlNode& node) {
  return node.kind == YamlNode::Kind::kMap || node.kind == YamlNode::Kind::kList;
}

/// Lists of lists, lists of maps and maps that are not empty take lines of their own.
bool takes_lines(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kMap) return !node.entries.empty();
  return std::any_of(node.items.begin(), node.items.end(), is_container);
}

void emit_lines(const YamlNode& node, const std::string& indent, std::string& text);

void emit_after_marker(const YamlNode& value, const std::string& marker, const std::string& indent, std::string& text) {
  if (takes_lines(value)) {
    text += indent + marker + "\n";
    emit_lines(value, indent + "  ", text);
  } else {
    text += indent + marker + " " + emit_yaml_inline(value) + "\n";
  }
}

void emit_lines(const YamlNode& node, const std::string& indent, std::string& text) {
  for (const YamlNode& item : node.items) emit_after_marker(item, "-", indent, text);
  for (const auto& [key, value] : node.entries) emit_after_marker(value, string_text(key) + ":", indent, text);
}

}  // namespace

YamlNode::YamlNode() noexcept = default;
YamlNode::YamlNode(Kind of_kind, std::string scalar, bool in_quotes)
    : kind(of_kind), text(std::move(scalar)), quoted(in_quotes) {}
YamlNode::YamlNode(const YamlNode&) = default;
YamlNode::YamlNode(YamlNode&&) noexcept = default;
YamlNode& YamlNode::operator=(const YamlNode&) = default;
YamlNode& YamlNode::operator=(YamlNode&&) noexcept = default;
YamlNode::~YamlNode() = default;

YamlNode YamlNode::plain(std::string scalar) { return YamlNode(Kind::kScalar, std::move(scalar)); }
YamlNode YamlNode::string(std::string scalar) { return YamlNode(Kind::kScalar, std::move(scalar), true); }

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == key; });
  return found == entries.end() ? nullptr : &found->second;
}

YamlNode* YamlNode::find(std::string_view key) { return const_cast<YamlNode*>(std::as_const(*this).find(key)); }

std::string YamlNode::description() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kList:
      return items.empty() ? "an empty list" : fmt::format("a list of {}", items.size());
    case Kind::kMap:
      return "a map";
    case Kind::kScalar:
      break;
  }
  return quoted || text.empty() ? fmt::format("\"{}\"", shown(text)) : shown(text);
}

std::string emit_yaml_inline(const YamlNode& node) {
  std::string text;
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kScalar:
      return node.quoted ? string_text(node.text) : node.text;
    case YamlNode::Kind::kList:
      for (const YamlNode& item : node.items) text += (text.empty() ? "" : ", ") + emit_yaml_inline(item);
      return "[" + text + "]";
    case YamlNode::Kind::kMap:
      for (const auto& [key, value] : node.entries)
        text += (text.empty() ? "" : ", ") + string_text(key) + ": " + emit_yaml_inline(value);
      return "{" + text + "}";
  }
  TRIREME_ASSERT(false, "a YAML value of unknown kind");
}

std::string emit_yaml(const YamlNode& map) {
  TRIREME_ASSERT(map.kind == YamlNode::Kind::kMap, "only a map makes a document");
  if (map.entries.empty()) return "{}\n";
  std::string text;
  emit_lines(map, "", text);
  return text;
}

}  // namespace trireme
