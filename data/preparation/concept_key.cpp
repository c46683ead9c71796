#include "data/preparation/concept_key.h"

#include <charconv>

#include <utf8proc.h>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "data/preparation/text_lines.h"

namespace trireme {
namespace {

constexpr char32_t kPresentation = 0xFE0F, kJoiner = 0x200D;
constexpr char32_t kFemale = 0x2640, kMale = 0x2642;
constexpr char32_t kMan = 0x1F468, kWoman = 0x1F469, kPerson = 0x1F9D1;

bool is_hair(char32_t c) { return c >= 0x1F9B0 && c <= 0x1F9B3; }

void append_hex(std::string& key, char32_t c) {
  fmt::format_to(std::back_inserter(key), "{}{:x}", key.empty() ? "" : "-", static_cast<uint32_t>(c));
}

enum class CharacterKind { kKept, kSpace, kDropped };

CharacterKind kind_of(utf8proc_int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharacterKind::kSpace;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
      return CharacterKind::kKept;
    default:
      return c == '\t' ? CharacterKind::kSpace : CharacterKind::kDropped;
  }
}

}  // namespace

std::string sequence_key(std::u32string_view code_points) {
  std::string key;
  for (char32_t c : code_points) {
    if (c != kPresentation) append_hex(key, c);
  }
  return key;
}

std::string joinerless_key(std::u32string_view code_points) {
  std::string key;
  for (char32_t c : code_points) {
    if (c != kPresentation && c != kJoiner) append_hex(key, c);
  }
  return key;
}

std::string family_key(std::u32string_view code_points) {
  std::string key;
  for (char32_t c : code_points) {
    if (c == kPresentation || c == kJoiner || c == kFemale || c == kMale || is_skin_tone(c) || is_hair(c)) continue;
    append_hex(key, c == kMan || c == kWoman ? kPerson : c);
  }
  return key;
}

std::string normalise_caption(std::string_view caption, std::string_view where) {
  std::u32string kept;
  for (char32_t c : from_utf8(caption, where)) {
    const auto code = static_cast<utf8proc_int32_t>(c);
    const CharacterKind kind = kind_of(code);
    if (kind == CharacterKind::kKept) kept.push_back(static_cast<char32_t>(utf8proc_tolower(code)));
    if (kind == CharacterKind::kSpace && !kept.empty() && kept.back() != U' ') kept.push_back(U' ');
  }
  if (!kept.empty() && kept.back() == U' ') kept.pop_back();
  std::u32string_view rest = kept;
  for (std::u32string_view article : {U"a ", U"an ", U"the "}) {
    if (rest.starts_with(article)) {
      rest.remove_prefix(article.size());
      break;
    }
  }
  return to_utf8(rest);
}

int64_t split_bucket(std::string_view concept_key) {
  const std::string salted = fmt::format("v1{}", concept_key), hash = sha256_hex(std::as_bytes(std::span(salted)));
  uint32_t first = 0;
  std::from_chars(hash.data(), hash.data() + 8, first, 16);
  return first % 100;
}

Split split_of(std::string_view concept_key) {
  const int64_t bucket = split_bucket(concept_key);
  return bucket < 20 ? Split::kTest : bucket < 30 ? Split::kVal : Split::kTrain;
}

std::u32string parse_code_points(std::string_view text, char separator, std::string_view where) {
  std::u32string code_points;
  for (std::string_view word : split_text(text, separator)) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    TRIREME_CHECK(error == std::errc() && end == word.data() + word.size() && value > 0 && value <= 0x10FFFF, DataError,
                  where, "a sequence must be hex code points; got {}; reinstall the package.", quote_text(text));
    code_points.push_back(value);
  }
  return code_points;
}

std::string to_utf8(std::u32string_view code_points) {
  std::string text;
  for (char32_t c : code_points) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
    text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
  }
  return text;
}

std::u32string from_utf8(std::string_view text, std::string_view where) {
  std::u32string code_points;
  while (!text.empty()) {
    utf8proc_int32_t c = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                         static_cast<utf8proc_ssize_t>(text.size()), &c);
    TRIREME_CHECK(length > 0, DataError, where, "text must be valid UTF-8; got {}; correct the file.",
                  quote_text(text, 40));
    code_points.push_back(static_cast<char32_t>(c));
    text.remove_prefix(static_cast<std::size_t>(length));
  }
  return code_points;
}

}  // namespace trireme
