#include "core/io/text.h"

#include <array>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "core/utf8.h"

namespace trireme {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf"sv;
constexpr std::string_view kSaveAsUtf8 =
    "save it as UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW, or in PowerShell Get-Content OLD | Set-Content -Encoding "
    "utf8 NEW";
constexpr std::string_view kUnpack = "unpack it first";

struct Magic {
  std::string_view bytes;
  OtherThanText is;
};

/// UTF-32 before UTF-16, whose mark it begins with.
constexpr std::array kMagics = {
    Magic{"\xff\xfe\0\0"sv, {"UTF-32 text", "save it as UTF-8: iconv -f UTF-32 -t UTF-8 OLD > NEW"}},
    Magic{"\0\0\xfe\xff"sv, {"UTF-32 text", "save it as UTF-8: iconv -f UTF-32 -t UTF-8 OLD > NEW"}},
    Magic{"\xff\xfe"sv, {"UTF-16 text", kSaveAsUtf8}},
    Magic{"\xfe\xff"sv, {"UTF-16 text", kSaveAsUtf8}},
    Magic{"\x1f\x8b"sv, {"a gzip archive", kUnpack}},
    Magic{"BZh"sv, {"a bzip2 archive", kUnpack}},
    Magic{"\xfd"
          "7zXZ\0"sv,
          {"an xz archive", kUnpack}},
    Magic{"\x28\xb5\x2f\xfd"sv, {"a zstd archive", kUnpack}},
    Magic{"PK\x03\x04"sv, {"a zip archive, as Excel's .xlsx is", "unpack it first, or export it as \"CSV UTF-8\""}},
    Magic{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, {"an old Excel file (.xls)", "export it as \"CSV UTF-8\""}},
    Magic{"PAR1"sv, {"a Parquet table", "write it as lines of JSON: pandas' to_json(orient=\"records\", lines=True)"}},
    Magic{"\x89HDF\r\n\x1a\n"sv, {"an HDF5 file", "name the text that it was made of"}},
};

/// UTF-16 without a mark: letters of ASCII with a zero byte before or after each.
bool is_unmarked_utf16(std::string_view bytes) {
  if (bytes.size() < 4) return false;
  const bool zero[] = {bytes[0] == 0, bytes[1] == 0, bytes[2] == 0, bytes[3] == 0};
  return zero[0] == zero[2] && zero[1] == zero[3] && zero[0] != zero[1];
}

}  // namespace

std::optional<OtherThanText> other_than_text(std::string_view bytes) {
  for (const Magic& magic : kMagics)
    if (bytes.starts_with(magic.bytes)) return magic.is;
  if (is_unmarked_utf16(bytes)) return OtherThanText{"UTF-16 text", kSaveAsUtf8};
  return std::nullopt;
}

std::string_view utf8_text(std::string_view bytes, const std::filesystem::path& path) {
  const auto other = other_than_text(bytes);
  TRIREME_CHECK(!other, DataError, path.string(), "the file must be UTF-8 text; got {}; {}.", other->what,
                other->remedy);
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  return bytes;
}

std::string read_utf8_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const std::string bytes = read_text_file(path, max_bytes);
  return std::string(utf8_text(bytes, path));
}

std::string first_bad_byte(std::string_view text) {
  // The longest valid prefix, by bisection: a prefix is valid up to a character that it cuts, three bytes at most.
  std::size_t good = 0, bad = text.size();
  const auto is_valid = [&](std::size_t bytes) {
    for (std::size_t cut = 0; cut < 4 && cut <= bytes; ++cut)
      if (is_valid_utf8(text.substr(0, bytes - cut))) return true;
    return false;
  };
  while (bad - good > 1) {
    const std::size_t middle = good + (bad - good) / 2;
    (is_valid(middle) ? good : bad) = middle;
  }
  while (good > 0 && !is_valid_utf8(text.substr(0, good))) --good;
  const auto byte = static_cast<unsigned char>(text[std::min(good, text.size() - 1)]);
  return fmt::format("byte 0x{:02x} at {}, which is no UTF-8 (is it Windows-1252 or Latin-1?)", byte, good + 1);
}

}  // namespace trireme
