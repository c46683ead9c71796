#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace trireme {

/// Something that stands where UTF-8 text should, and how to make text of it.
struct OtherThanText {
  std::string_view what;    ///< "UTF-16 text"
  std::string_view remedy;  ///< "save it as UTF-8 ..", without a full stop
};

/// What the first bytes say that a file is, if not UTF-8 text: UTF-16 and UTF-32 (PowerShell's `>`, Excel's "Unicode
/// Text"), with or without a byte order mark, archives and tables that come under any name. nullopt: it may be text.
std::optional<OtherThanText> other_than_text(std::string_view bytes);

/// The text of a file's bytes: they, without the UTF-8 byte order mark that Excel and PowerShell put before them.
/// throws DataError naming what the file is, when it is other_than_text().
std::string_view utf8_text(std::string_view bytes, const std::filesystem::path& path);

/// read_text_file() and utf8_text().
std::string read_utf8_file(const std::filesystem::path& path, std::size_t max_bytes = 1ull << 30);

/// Of text that is not UTF-8, its first bad byte, counted from 1: "byte 0xe9 at 12, which is no UTF-8 (is it ..?)".
std::string first_bad_byte(std::string_view text);

}  // namespace trireme
