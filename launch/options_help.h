#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/config/field_description.h"

namespace trireme {

/// A field of a verb, with the path and the option name that its sections give it.
struct VerbField {
  std::string path;    ///< "image.max_pixels"
  std::string option;  ///< "--image.max-pixels"; for a positional one "CONFIG"
  FieldDescription description;
};

/// What stands for the value in help and messages: "DIR", "N", "mrope|oned".
std::string value_placeholder(const FieldDescription& field);
/// "trireme embed --model DIR [OPTIONS]", then what each argument and option means, at 100 columns.
std::string verb_help(const std::string& command, const std::string& purpose, const std::vector<VerbField>& fields);
/// The verbs and what they do.
std::string program_help(const std::string& name, const std::string& purpose,
                         const std::vector<std::pair<std::string, std::string>>& verbs);

}  // namespace trireme
