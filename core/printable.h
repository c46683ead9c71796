#pragma once

#include <string>
#include <string_view>

namespace trireme {

/// Text as a terminal or a log may have it, whatever file it came from: control characters (U+0000 to U+001F, U+007F to
/// U+009F), the marks that turn the direction of writing around (U+202A to U+202E, U+2066 to U+2069), the separators
/// U+2028 and U+2029, and bytes that are no UTF-8 become \xNN, byte by byte. Line ends too: one line stays one line.
std::string printable(std::string_view text);

/// The same for text of several lines: their ends stay.
std::string printable_lines(std::string_view text);

}  // namespace trireme
