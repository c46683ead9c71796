#include "data/tokenizer/utf8.h"

#include <cstring>

#include "core/utf8.h"

namespace trireme::utf8 {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What stands at one place of a byte string: a whole code point, or a broken part of one.
struct Sequence {
  std::size_t size;  ///< bytes
  bool valid;
};

/// The well-formed sequences of Unicode 16, table 3-7: how many bytes follow, and the bounds of the first of them.
Sequence sequence_at(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;   // shorter forms exist
  if (first == 0xED) high = 0x9F;  // surrogates
  if (first == 0xF0) low = 0x90;   // shorter forms exist
  if (first == 0xF4) high = 0x8F;  // beyond U+10FFFF
  for (std::size_t i = 1; i < size; ++i) {
    if (at + i == bytes.size() || byte(at + i) < low || byte(at + i) > high) return {i, false};
    low = 0x80, high = 0xBF;
  }
  return {size, true};
}

}  // namespace

bool is_ascii(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (word & 0x8080808080808080ull) return false;
  }
  for (; i < text.size(); ++i)
    if (!is_ascii(text[i])) return false;
  return true;
}

std::size_t valid_prefix(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const Sequence sequence = sequence_at(text, i);
    if (!sequence.valid) return i;
    i += sequence.size;
  }
  return i;
}

std::string lossy(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string text;
  text.reserve(bytes.size() + 16);
  for (std::size_t i = 0; i < bytes.size();) {
    const Sequence sequence = sequence_at(bytes, i);
    text += sequence.valid ? bytes.substr(i, sequence.size) : kReplacement;
    i += sequence.size;
  }
  return text;
}

}  // namespace trireme::utf8
