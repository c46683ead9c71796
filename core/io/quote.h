#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace trireme {

/// Text out of a file, for an error message: in double quotes, on one line and harmless to a terminal (control
/// characters, quotes, backslashes and what is not UTF-8 as \xNN), cut to `max_bytes` with ".." after it.
std::string quote_text(std::string_view text, std::size_t max_bytes = 120);

/// JSON text out of a file, for an error message: as it stands there, its own quotes too, else as quote_text() has it.
std::string shown_json(std::string_view json, std::size_t max_bytes = 120);

/// The same for a path, whole.
std::string quote_path(const std::filesystem::path& path);

}  // namespace trireme
