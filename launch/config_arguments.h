#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trireme {

class FieldList;

/// Arguments of a verb that reads a config file: CONFIG [section.key=value ..].
struct ConfigArguments {
  std::filesystem::path config;
  std::vector<std::string> overrides;

  void describe(FieldList& v);
};

}  // namespace trireme
