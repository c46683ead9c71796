#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// A byte for every code point, so that a regular expression over code points becomes one over bytes: ASCII keeps its
/// own, and the code points beyond share a byte from 0x80 on when the pattern cannot tell them apart.
class CodePointClasses {
 public:
  /// byte_of_code_point  [0x110000]
  explicit CodePointClasses(std::span<const uint8_t> byte_of_code_point);
  uint8_t of(char32_t code_point) const { return pages_[page_of_[code_point / kPageSize]][code_point % kPageSize]; }
  /// One byte for each code point of `text`.
  std::string classes_of(std::string_view text) const;

 private:
  static constexpr std::size_t kPageSize = 256;
  using Page = std::array<uint8_t, kPageSize>;
  std::vector<uint16_t> page_of_;
  std::vector<Page> pages_;
};

/// A pattern in the dialect of tokenizer.json (Oniguruma, Ruby syntax, Unicode 16) as a PCRE2 pattern for byte strings
/// made by `classes`. Unicode properties are decided here, by the package's own tables, not by PCRE2's version of
/// Unicode; and bytes match several times faster than UTF-8.
struct ByteRegex {
  std::string pcre;
  CodePointClasses classes;
};

/// throws DataError (where: the component, for the message): syntax that is not built in, or that the two engines read
/// differently. Built in: literals and escapes, `.`, \s \S \d \D \w \W \b \B \A \z ^ $, \p{..} and \P{..} with general
/// categories, classes without nesting, alternation, groups (?:..) (?i:..) (?>..) (?=..) (?!..) (?<=..) (?<!..), and
/// quantifiers, lazy and possessive ones too.
ByteRegex translate_regex(std::string_view pattern, std::string_view where);

}  // namespace trireme
