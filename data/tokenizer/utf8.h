#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Code points in and out of UTF-8. The readers want valid UTF-8 (Tokenizer::encode checks it once, at the door).
namespace trireme::utf8 {

struct CodePoint {
  char32_t value;
  std::size_t size;  ///< bytes
};

inline bool is_ascii(char byte) { return static_cast<unsigned char>(byte) < 0x80; }
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The code point that begins at text[at].
inline CodePoint at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// The code point that ends just before text[end]; end > 0.
inline CodePoint before(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (is_continuation(text[begin])) --begin;
  return at(text, begin);
}

inline void append(std::string& text, char32_t code_point) {
  const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xC0 | code_point >> 6), push(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    push(0xE0 | code_point >> 12), push(0x80 | (code_point >> 6 & 0x3F)), push(0x80 | (code_point & 0x3F));
  } else {
    push(0xF0 | code_point >> 18), push(0x80 | (code_point >> 12 & 0x3F));
    push(0x80 | (code_point >> 6 & 0x3F)), push(0x80 | (code_point & 0x3F));
  }
}

bool is_ascii(std::string_view text);
/// Bytes in front of the first broken sequence: text.size() when there is none.
std::size_t valid_prefix(std::string_view text);
/// Every broken sequence becomes U+FFFD, one for each maximal part of a well-formed sequence (Unicode 16, section 3.9,
/// "U+FFFD Substitution of Maximal Subparts"), as Rust's String::from_utf8_lossy has it.
std::string lossy(std::string_view bytes);

}  // namespace trireme::utf8
