#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trireme {

/// JSON as Python and JavaScript write it, for parsers that take less: NaN, Infinity and -Infinity, numbers beyond 64
/// bits or double's range, and \u escapes of half a surrogate pair. The same text with each such value as the object
/// {"\u0000": "as it was written"}, which no reader of ours takes for a number or a text: in a field that nobody reads
/// it does no harm, elsewhere odd_json_value() tells what stood there. Such a half in a key becomes U+FFFD.
/// nullopt: the text has none of these.
std::optional<std::string> with_odd_values_apart(std::string_view json);

/// The values back in their places, however the JSON was laid out since.
std::string with_odd_values_back(std::string_view json);

/// The key of such an object: one character, U+0000.
inline constexpr std::string_view kOddValueKey{"\0", 1};

/// Why a text is no JSON.
struct JsonFault {
  std::string what;               ///< for "got ..": "a Python literal, ..", "an array without its end", ..
  bool of_several_lines = false;  ///< it looks like a line of a value that goes on over several
};
/// What kind of text it is where that can be told, else what the parser said.
JsonFault json_fault(std::string_view text, std::string_view parser_said);

}  // namespace trireme
