#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/config/config.h"

namespace trireme {

class FieldList;

/// [resume] What may change when a run goes on.
struct ResumeConfig {
  std::vector<std::string> allow = {};

  void describe(FieldList& v);
};

/// The part of a config that changes results: what config_sha256 is the hash of.
template <Section T>
std::string yaml_of_values(T value) {
  return emit_yaml(FieldList(value).write(DumpScope::kWhatChangesValues));
}

/// A key that two configs disagree about; "nothing" where one lacks it.
struct ConfigDifference {
  std::string key, before, now;
};
std::vector<ConfigDifference> config_differences(std::string_view before_yaml, std::string_view now_yaml);

/// Whether a run with `now`'s recipe, config and base model may go on from `before`. Nothing else of `now` is read.
/// before_name: for messages, the path of the checkpoint or config file.
/// throws ConfigError: another recipe; another base model; keys that differ and are not allowed (each with both values,
/// and resume.allow as the way out); an allowed key that neither config has.
void check_same_run(const Checkpoint& before, std::string_view before_name, const Checkpoint& now,
                    std::span<const std::string> allow);

}  // namespace trireme
