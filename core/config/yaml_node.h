#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/report.h"

namespace trireme {

/// A YAML value before it has a type: text is kept as it was written, so that nothing is guessed from its looks.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;     ///< of a scalar
  bool quoted = false;  ///< a scalar in quotes or a block scalar: a string whatever it looks like
  std::vector<YamlNode> items;
  std::vector<std::pair<std::string, YamlNode>> entries;  ///< of a map, in order of writing; keys are unique
  int64_t line = kNoLine;

  YamlNode() noexcept;
  explicit YamlNode(Kind of_kind, std::string scalar = {}, bool in_quotes = false);
  YamlNode(const YamlNode&);
  YamlNode(YamlNode&&) noexcept;
  YamlNode& operator=(const YamlNode&);
  YamlNode& operator=(YamlNode&&) noexcept;
  ~YamlNode();

  static YamlNode plain(std::string scalar);
  static YamlNode string(std::string scalar);
  static YamlNode list() { return YamlNode(Kind::kList); }
  static YamlNode map() { return YamlNode(Kind::kMap); }

  /// The value of a key, or null when there is none.
  const YamlNode* find(std::string_view key) const;
  YamlNode* find(std::string_view key);
  /// For messages: `ten`, `"3"`, `nothing`, `a list of 3`, `a map`.
  std::string description() const;
};

/// Reads one YAML document: at most 1 MiB, 32 levels, 20,000 values after aliases are expanded. What is wrong (broken
/// YAML, tabs for indentation, bytes that are not UTF-8, control characters, tags, duplicate keys, keys that are no
/// text, several documents) goes to `report`; after broken YAML the result is null.
YamlNode parse_yaml(std::string_view text, ConfigReport& report);

/// The value of `section.key=VALUE`: text that starts with [ { " or ' is YAML; null, ~ and nothing at all are null; all
/// else is a scalar, to the letter. Lines are kCommandLine. Problems name `path`; nothing comes back after one.
std::optional<YamlNode> parse_override_value(std::string_view text, std::string_view path, ConfigReport& report);

/// Block style, two spaces, in the order of the entries; lists of scalars on one line. Equal trees give equal bytes, on
/// every machine: hashes are taken of it. A string is quoted unless every YAML reader takes it for one. parse_yaml()
/// reads back the same tree.
std::string emit_yaml(const YamlNode& map);
/// The same on one line: `[a, b]`, `{x: 1}`.
std::string emit_yaml_inline(const YamlNode& node);

}  // namespace trireme
