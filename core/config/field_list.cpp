#include "core/config/field_list.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/config/nearest.h"
#include "core/error.h"

namespace trireme {
namespace {

constexpr std::size_t kMostKeysListed = 12;

bool is_snake_case(std::string_view name) {
  return !name.empty() && name[0] >= 'a' && name[0] <= 'z' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string last_part(std::string_view path) { return std::string(path.substr(path.rfind('.') + 1)); }

/// The same key in another section, or there with a typing error.
std::optional<std::string> elsewhere(std::string_view key, const std::vector<std::string>& known_paths) {
  std::vector<std::string> last_parts;
  for (const std::string& path : known_paths) last_parts.push_back(last_part(path));
  const std::optional<std::string> near = nearest(key, last_parts);
  if (!near) return std::nullopt;
  return known_paths[std::find(last_parts.begin(), last_parts.end(), *near) - last_parts.begin()];
}

void add_paths(const std::vector<FieldDescription>& descriptions, const std::string& prefix,
               std::vector<std::string>& paths) {
  for (const FieldDescription& field : descriptions) {
    paths.push_back(prefix + field.name);
    if (field.kind == FieldKind::kSection) add_paths(field.children, paths.back() + ".", paths);
  }
}

}  // namespace

FieldDescription::FieldDescription() noexcept = default;
FieldDescription::FieldDescription(const FieldDescription&) = default;
FieldDescription::FieldDescription(FieldDescription&&) noexcept = default;
FieldDescription& FieldDescription::operator=(const FieldDescription&) = default;
FieldDescription& FieldDescription::operator=(FieldDescription&&) noexcept = default;
FieldDescription::~FieldDescription() = default;

FieldList::FieldList() = default;
FieldList::~FieldList() = default;

void add_rule(std::vector<FieldRule>& rules, FieldRule rule) { rules.push_back(std::move(rule)); }

std::vector<std::string> all_paths(const std::vector<FieldDescription>& descriptions) {
  std::vector<std::string> paths;
  add_paths(descriptions, "", paths);
  return paths;
}

FieldList::Entry& FieldList::add(std::string_view name, std::string_view help, const void* address,
                                 std::unique_ptr<BoundMember> member) {
  TRIREME_ASSERT(is_snake_case(name), "a config key is named {}", name);
  for (const Entry& entry : entries_) TRIREME_ASSERT(entry.description.name != name, "describe() lists {} twice", name);
  Entry& entry = entries_.emplace_back();
  entry.description.name = name;
  entry.description.help = help;
  entry.member = std::move(member);
  addresses_.push_back(address);
  return entry;
}

void FieldList::expect_complete(int64_t members, const void* object, std::size_t object_bytes, const char* type) const {
  members += members_of_parts_;
  TRIREME_ASSERT(static_cast<int64_t>(entries_.size()) == members, "describe() lists {} fields and {} has {} members",
                 entries_.size(), type, members);
  std::vector<const void*> sorted = addresses_;
  std::sort(sorted.begin(), sorted.end(), std::less<>());
  TRIREME_ASSERT(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(),
                 "describe() of {} lists one member under two names", type);
  const auto* begin = static_cast<const char*>(object);
  for (const void* address : addresses_) {
    const auto* at = static_cast<const char*>(address);
    TRIREME_ASSERT(std::less_equal<>()(begin, at) && std::less<>()(at, begin + object_bytes),
                   "describe() of {} lists something that is no member", type);
  }
}

void FieldList::read(const YamlNode& node, const ConfigPlace& place) {
  if (node.kind != YamlNode::Kind::kNull && !expect_map(node, place)) return;
  for (const auto& [key, value] : node.entries) {
    const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                    [&key = key](const Entry& e) { return e.description.name == key; });
    if (entry == entries_.end()) {
      refuse_unknown(key, value.line, place);
      continue;
    }
    const ConfigPlace at = place.key(key);
    at.report.set_line(at.path, value.line);
    entry->member->read(value, at);
  }
  for (const Entry& entry : entries_)
    if (node.find(entry.description.name) == nullptr) read_absent(entry, place);
  if (!fill_unset_) return;
  apply_rules(place);
  if (!place.has_problem()) fill_unset_();
}

void FieldList::read_absent(const Entry& entry, const ConfigPlace& place) {
  const ConfigPlace at = place.key(entry.description.name);
  // A key with a typing error, or a value that could not even be understood, has been refused already.
  if (at.has_problem()) return;
  if (entry.description.required) {
    at.report.add(
        at.report.line_of(at.path), at.path,
        fmt::format("{} is required; got nothing; set it: {}", at.report.name_of(at.path), entry.description.help));
  } else {
    entry.member->read_absent(at);
  }
}

std::vector<std::string> FieldList::keys() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.description.name);
  return names;
}

void FieldList::refuse_unknown(std::string_view key, int64_t line, const ConfigPlace& place) const {
  const std::vector<std::string> names = keys();
  std::string path = place.key(key).path, remedy;
  const std::string name = place.report.name_of(path);
  if (const std::optional<std::string> sibling = nearest(key, names)) {
    path = place.key(*sibling).path;  // the problem is with that key: it is not missing as well
    remedy = fmt::format("did you mean {}?", path);
  } else if (const std::optional<std::string> other = elsewhere(key, place.report.known_paths())) {
    remedy = fmt::format("did you mean {}?", *other);
  } else {
    const std::size_t listed = std::min(names.size(), kMostKeysListed);
    remedy = fmt::format("{} has {}{}; remove it or choose one of these", place.report.name_of(place.path),
                         fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed), ", "),
                         listed < names.size() ? fmt::format(" and {} more", names.size() - listed) : "");
  }
  place.report.add(line, path, fmt::format("unknown key {}; {}", name, remedy));
}

void FieldList::apply_rules(const ConfigPlace& place) const {
  for (const Entry& entry : entries_)
    for (const FieldRule& rule : entry.rules) rule(place.key(entry.description.name));
}

void FieldList::check(const ConfigPlace& place) const {
  for (const Entry& entry : entries_) entry.member->check(place.key(entry.description.name));
  apply_rules(place);
  if (!check_ || place.has_problem()) return;
  Problems problems(place.report, place.path);
  check_(problems);
}

YamlNode FieldList::write(DumpScope scope) const {
  YamlNode map = YamlNode::map();
  for (const Entry& entry : entries_)
    if (scope == DumpScope::kAll || entry.description.changes_values)
      map.entries.emplace_back(entry.description.name, entry.member->write(scope));
  return map;
}

std::vector<FieldDescription> FieldList::descriptions() const {
  std::vector<FieldDescription> result;
  for (const Entry& entry : entries_) {
    FieldDescription description = entry.description;
    description.children = entry.member->children();
    if (description.kind != FieldKind::kSection)
      description.default_text = emit_yaml_inline(entry.member->write(DumpScope::kAll));
    result.push_back(std::move(description));
  }
  return result;
}

}  // namespace trireme
