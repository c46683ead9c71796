#include "core/io/quote.h"

#include <iterator>

#include <fmt/format.h>

#include "core/utf8.h"

namespace trireme {
namespace {

/// The longest prefix of at most `max_bytes` that does not end inside a UTF-8 sequence.
std::string_view cut_between_characters(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end > 0 ? end : max_bytes);
}

/// `text` on one line and harmless to a terminal; `kept`: characters of its own syntax that stay as they are.
std::string harmless(std::string_view text, std::size_t max_bytes, std::string_view kept) {
  const std::string_view shown = cut_between_characters(text, max_bytes);
  const bool is_utf8 = is_valid_utf8(shown);
  std::string out;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<unsigned char>(shown[i]);
    const bool syntax = (byte == '"' || byte == '\\') && kept.find(shown[i]) == std::string_view::npos;
    // U+0080 .. U+009F, control characters too, are C2 80 .. C2 9F.
    const bool second_control = byte == 0xc2 && i + 1 < shown.size() && static_cast<unsigned char>(shown[i + 1]) < 0xa0;
    if (second_control || byte < 0x20 || byte == 0x7f || syntax || (byte >= 0x80 && !is_utf8)) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
      if (second_control) fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(shown[++i]));
    } else {
      out += shown[i];
    }
  }
  return shown.size() < text.size() ? out + ".." : out;
}

}  // namespace

std::string quote_text(std::string_view text, std::size_t max_bytes) {
  return fmt::format("\"{}\"", harmless(text, max_bytes, ""));
}

std::string shown_json(std::string_view json, std::size_t max_bytes) { return harmless(json, max_bytes, "\"\\"); }

std::string quote_path(const std::filesystem::path& path) { return quote_text(path.native(), path.native().size()); }

}  // namespace trireme
