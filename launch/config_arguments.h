#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/field_count.h"

namespace trireme {

/// Arguments of a verb that reads a config file: CONFIG [section.key=value ..].
struct ConfigArguments {
  std::filesystem::path config;
  std::vector<std::string> overrides;

  template <class V>
  void describe(V& v) {
    v.field("config", config, "YAML file: what is done, and with what.").required().positional().placeholder("CONFIG");
    v.field("overrides", overrides, "Changes to it: section.key=value.").positional().placeholder("section.key=value");
  }
};
static_assert(field_count<ConfigArguments>() == 2, "describe() must list every field");

}  // namespace trireme
