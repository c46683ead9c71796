#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/field_list.h"

namespace trireme {

inline constexpr int64_t kHelpWidth = 100;

/// Two columns: what a line is about, and words about it, which start at `column` and are wrapped at kHelpWidth. A left
/// side that reaches the column has its words start on the next line. `left` brings its own indentation.
std::string help_lines(std::string_view left, std::string_view words, int64_t column);

/// "[integer, at least 0; default 0]", "[path; required]".
std::string field_facts(const FieldDescription& field);

/// One paragraph of a file's keys for each section, in the order of the dump.
std::string keys_help(const std::vector<FieldDescription>& fields);

/// Every key of a config: what it means, its type, limits and default.
template <Section T>
std::string config_help() {
  T value{};
  return keys_help(FieldList(value).descriptions());
}

}  // namespace trireme
