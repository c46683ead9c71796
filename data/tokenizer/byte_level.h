#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

/// GPT-2's alphabet of 256 printable characters, one for each byte, so that a vocabulary of readable strings covers
/// every byte string. Source: Radford et al. 2019, encoder.py, bytes_to_unicode().
namespace trireme::byte_level {

/// The printable bytes of ASCII and Latin-1 stand for themselves; the other 68 follow from U+0100 on.
constexpr std::array<char32_t, 256> alphabet() {
  std::array<char32_t, 256> characters{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool is_printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
    characters[byte] = is_printable ? byte : next++;
  }
  return characters;
}

/// Puts the word's bytes behind `text`, each as its character.
void append(std::string& text, std::string_view word);
/// The bytes of a token, or nothing when it holds a character that is not of the alphabet.
std::optional<std::string> decode(std::string_view token);

}  // namespace trireme::byte_level
