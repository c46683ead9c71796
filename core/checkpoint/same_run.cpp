#include "core/checkpoint/same_run.h"

#include <algorithm>
#include <map>

#include "core/config/field_list.h"
#include "core/io/quote.h"

namespace trireme {

void ResumeConfig::describe(FieldList& v) {
  v.field("allow", allow,
          "Keys that may differ from the interrupted run, as in [train.steps, optim.peak_lr]; a section's name allows "
          "all of it.")
      .no_effect_on_values();
}
static_assert(field_count<ResumeConfig>() == 1, "describe() must list every field");
namespace {

using FlatConfig = std::map<std::string, std::string>;

void flatten(const YamlNode& node, const std::string& path, FlatConfig& into) {
  if (node.kind != YamlNode::Kind::kMap || node.entries.empty()) {
    into[path] = emit_yaml_inline(node);
    return;
  }
  for (const auto& [key, value] : node.entries) flatten(value, path.empty() ? key : path + "." + key, into);
}

FlatConfig flatten(std::string_view yaml) {
  ConfigReport report("resume");
  const YamlNode root = parse_yaml(yaml, report);
  report.throw_if_any();
  FlatConfig flat;
  flatten(root, "", flat);
  return flat;
}

std::string value_at(const FlatConfig& config, const std::string& key) {
  const auto found = config.find(key);
  return found == config.end() ? "nothing" : found->second;
}

bool covers(std::string_view allowed, std::string_view key) {
  return key.starts_with(allowed) && (key.size() == allowed.size() || key[allowed.size()] == '.');
}

std::string joined(const std::vector<ConfigDifference>& differences) {
  std::string text;
  for (const ConfigDifference& each : differences) {
    text += fmt::format("{}{}: {} then and {} now", text.empty() ? "" : ", ", each.key, shown(each.before),
                        shown(each.now));
  }
  return text;
}

std::string keys_of(const std::vector<ConfigDifference>& differences) {
  std::string text;
  for (const ConfigDifference& each : differences) text += (text.empty() ? "" : ", ") + each.key;
  return text;
}

void check_allowed_keys(std::string_view before_yaml, std::string_view now_yaml, std::span<const std::string> allow) {
  FlatConfig both = flatten(before_yaml);
  both.merge(flatten(now_yaml));
  for (const std::string& allowed : allow) {
    const bool known = std::ranges::any_of(both, [&](const auto& entry) { return covers(allowed, entry.first); });
    TRIREME_CHECK(known, ConfigError, "resume",
                  "resume.allow must name keys or sections that change results; got {}, which neither config has; drop "
                  "it or correct it.",
                  quote_text(allowed));
  }
}

}  // namespace

std::vector<ConfigDifference> config_differences(std::string_view before_yaml, std::string_view now_yaml) {
  const FlatConfig before = flatten(before_yaml), now = flatten(now_yaml);
  FlatConfig keys = before;
  keys.insert(now.begin(), now.end());
  std::vector<ConfigDifference> differences;
  for (const auto& [key, unused] : keys) {
    ConfigDifference each{key, value_at(before, key), value_at(now, key)};
    if (each.before != each.now) differences.push_back(std::move(each));
  }
  return differences;
}

void check_same_run(const Checkpoint& before, std::string_view before_name, const Checkpoint& now,
                    std::span<const std::string> allow) {
  TRIREME_CHECK(before.recipe == now.recipe, ConfigError, "resume",
                "{} must belong to recipe {}; got recipe {}; choose another run directory.", before_name, now.recipe,
                before.recipe);
  check_allowed_keys(before.config_yaml, now.config_yaml, allow);
  std::vector<ConfigDifference> differences = config_differences(before.config_yaml, now.config_yaml);
  std::erase_if(differences, [&](const ConfigDifference& each) {
    return std::ranges::any_of(allow, [&](const std::string& allowed) { return covers(allowed, each.key); });
  });
  TRIREME_CHECK(differences.empty(), ConfigError, "resume",
                "the run must go on with the config of {}; got {}; set them back, choose another run directory, or say "
                "resume.allow=[{}].",
                before_name, joined(differences), keys_of(differences));
  TRIREME_CHECK(
      before.base.sha256 == now.base.sha256, ConfigError, "resume",
      "the run must go on from the base model of {}, {} with sha256 {}; got {} with sha256 {}; bring the same "
      "weights.",
      before_name, quote_path(before.base.path), before.base.sha256, quote_path(now.base.path), now.base.sha256);
  const auto parts = differing_parts(before.base.fingerprint, now.base.fingerprint, all_fingerprint_parts());
  TRIREME_CHECK(parts.empty(), ConfigError, "resume",
                "the run must go on from the base model of {}; got {}, where its {}; bring the same files.",
                before_name, quote_path(now.base.path),
                difference_of(before.base.fingerprint, now.base.fingerprint, parts));
}

}  // namespace trireme
