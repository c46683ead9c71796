#include "core/config/config.h"

#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/utf8.h"

namespace trireme {
namespace {

constexpr std::size_t kMostFileBytes = 1 << 20;
constexpr std::size_t kMostKeyParts = 16;

/// "optim", "peak_lr" of "optim.peak_lr"; empty when a part is.
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dot = path.find('.');
    if (dot == 0 || path.empty() || parts.size() == kMostKeyParts) return {};
    parts.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

/// Lays `value` over what is there: maps are merged, all else is replaced.
void merge(YamlNode& node, YamlNode value) {
  if (node.kind != YamlNode::Kind::kMap || value.kind != YamlNode::Kind::kMap) {
    node = std::move(value);
    return;
  }
  for (auto& [key, item] : value.entries) {
    if (YamlNode* old = node.find(key)) {
      merge(*old, std::move(item));
    } else {
      node.entries.emplace_back(key, std::move(item));
    }
  }
}

class Overrides {
 public:
  Overrides(YamlNode& root, ConfigReport& report) : root_(root), report_(report) {}

  void apply(std::string_view text) {
    const std::size_t equals = text.find('=');
    const std::string path(text.substr(0, equals));
    const std::vector<std::string> parts = parts_of(path);
    if (!is_valid_utf8(text)) {
      refuse(path, fmt::format("an override must be UTF-8; got \"{}\"; rename what it names", shown(text)));
    } else if (equals == std::string_view::npos || parts.empty()) {
      refuse(path, fmt::format("an override must be section.key=value; got \"{}\"; correct it", shown(text)));
    } else if (!given_.insert(path).second) {
      refuse(path, fmt::format("an override must be given once; got {} again; remove one", shown(path)));
    } else {
      std::optional<YamlNode> value = parse_override_value(text.substr(equals + 1), path, report_);
      if (value) set(parts, path, *std::move(value));
    }
  }

 private:
  void refuse(std::string_view path, std::string text) { report_.add(kCommandLine, path, std::move(text)); }

  void set(const std::vector<std::string>& parts, const std::string& path, YamlNode value) {
    YamlNode* node = &root_;
    for (const std::string& part : parts) {
      if (node->kind == YamlNode::Kind::kNull) {
        *node = YamlNode::map();
        node->line = kCommandLine;
      }
      if (node->kind != YamlNode::Kind::kMap) {
        refuse(path, fmt::format("an override must name a key of a section; got {}, inside of {}; set the whole value",
                                 shown(path), node->description()));
        return;
      }
      if (node->find(part) == nullptr) {
        node->entries.emplace_back(part, YamlNode{});
        node->entries.back().second.line = kCommandLine;
      }
      node = node->find(part);
    }
    merge(*node, std::move(value));
  }

  YamlNode& root_;
  ConfigReport& report_;
  std::set<std::string> given_;
};

/// The end of a long path tells more than its beginning.
std::string file_shown(std::string_view name) {
  constexpr std::size_t kMostBytes = 120;
  return name.size() <= kMostBytes ? shown(name, 4 * kMostBytes)
                                   : "..." + shown(name.substr(name.size() - kMostBytes), 4 * kMostBytes);
}

void expect_top_level_map(const YamlNode& root, ConfigReport& report) {
  if (report.any() || root.kind == YamlNode::Kind::kMap) return;
  if (root.kind == YamlNode::Kind::kNull) {
    report.add(kNoLine, "", "a config must have keys; got an empty file; write key: value lines");
  } else {
    report.add(root.line, "",
               fmt::format("a config must be key: value lines; got {}; name the key", root.description()));
  }
}

}  // namespace

ConfigSource ConfigSource::parse(std::string_view yaml, std::string_view name, std::span<const std::string> overrides) {
  ConfigReport report("config", file_shown(name));
  YamlNode root = parse_yaml(yaml, report);
  expect_top_level_map(root, report);
  const bool readable = root.kind == YamlNode::Kind::kMap;
  Overrides over(root, report);
  for (const std::string& text : overrides) over.apply(text);
  return {readable ? std::move(root) : YamlNode{}, std::move(report)};
}

ConfigSource ConfigSource::read(const std::filesystem::path& file, std::span<const std::string> overrides) {
  std::error_code unknown;
  const auto bytes = std::filesystem::file_size(file, unknown);
  if (!unknown && bytes > kMostFileBytes) {
    ConfigReport report("config", file_shown(file.native()));
    report.add(kNoLine, "",
               fmt::format("a config must have at most {} bytes; got {}; keep data in files of its own", kMostFileBytes,
                           bytes));
    report.throw_if_any();
  }
  return parse(read_text_file(file), file.native(), overrides);
}

ConfigSource ConfigSource::of(YamlNode root, std::string where) {
  return {std::move(root), ConfigReport(std::move(where))};
}

std::optional<std::string> ConfigSource::scalar(std::string_view key) const {
  const YamlNode* node = root_.find(key);
  if (node == nullptr || node->kind != YamlNode::Kind::kScalar) return std::nullopt;
  return node->text;
}

void ConfigSource::read_into(FieldList& fields) const {
  ConfigReport report = report_;
  const ConfigPlace top{"", report};
  report.set_known_paths(all_paths(fields.descriptions()));
  if (root_.kind == YamlNode::Kind::kMap) {  // else the source could not be read, which is in the report
    fields.read(root_, top);
    fields.check(top);
  }
  report.throw_if_any();
}

}  // namespace trireme
