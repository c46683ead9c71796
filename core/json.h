#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace trireme {

/// JSON out of text and into text. nlohmann's own parse() and dump() are templates, and each file that calls them
/// compiles them; these are compiled once. What they take, refuse and write is nlohmann's.
/// throws nlohmann::json::parse_error: the text is not JSON.
nlohmann::json parse_json(std::string_view text);
nlohmann::ordered_json parse_ordered_json(std::string_view text);
/// A value of which is_discarded() holds when the text is not JSON.
nlohmann::json try_parse_json(std::string_view text);
nlohmann::ordered_json try_parse_ordered_json(std::string_view text);

/// What becomes of strings that are not UTF-8.
enum class BrokenUtf8 {
  kRefused,   ///< throws nlohmann::json::type_error
  kReplaced,  ///< by U+FFFD
};
/// indent  spaces; -1 = all on one line.
std::string dump_json(const nlohmann::json& value, int indent = -1, BrokenUtf8 broken = BrokenUtf8::kRefused);
std::string dump_json(const nlohmann::ordered_json& value, int indent = -1, BrokenUtf8 broken = BrokenUtf8::kRefused);

}  // namespace trireme
