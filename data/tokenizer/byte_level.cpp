#include "data/tokenizer/byte_level.h"

#include "data/tokenizer/utf8.h"

namespace trireme::byte_level {
namespace {

constexpr std::array<char32_t, 256> kAlphabet = alphabet();
constexpr std::size_t kBeyondAlphabet = 0x144;

/// Byte of a character; -1 where there is none.
constexpr std::array<int16_t, kBeyondAlphabet> kByteOf = [] {
  std::array<int16_t, kBeyondAlphabet> bytes{};
  bytes.fill(-1);
  for (int16_t byte = 0; byte < 256; ++byte) bytes[kAlphabet[byte]] = byte;
  return bytes;
}();

}  // namespace

void append(std::string& text, std::string_view word) {
  for (const char byte : word) utf8::append(text, kAlphabet[static_cast<unsigned char>(byte)]);
}

std::optional<std::string> decode(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t i = 0; i < token.size();) {
    const auto [c, size] = utf8::at(token, i);
    if (c >= kBeyondAlphabet || kByteOf[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kByteOf[c]));
    i += size;
  }
  return bytes;
}

}  // namespace trireme::byte_level
