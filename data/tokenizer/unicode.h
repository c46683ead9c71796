#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/unicode_table.h"

/// Unicode as the `tokenizers` package sees it. The package mixes versions (regex engine 16, lower case 17, normal
/// forms 9), so nothing here is asked of the system's libraries except the normal forms of utf8proc, which are stable
/// for the code points that Unicode 9 knows.
namespace trireme::unicode {

/// A set of code points, kept as ascending ranges that do not touch.
class CodePointSet {
 public:
  CodePointSet() = default;
  explicit CodePointSet(char32_t one) : CodePointSet(one, one) {}
  CodePointSet(char32_t first, char32_t last) : ranges_{{first, last}} {}
  explicit CodePointSet(std::vector<CodePointRange> ranges);

  std::span<const CodePointRange> ranges() const noexcept { return ranges_; }
  bool contains(char32_t code_point) const;
  CodePointSet operator|(const CodePointSet& other) const;
  CodePointSet operator~() const;

 private:
  std::vector<CodePointRange> ranges_;
};

/// A general category by its short name, "Lu", or all of a letter, "L"; nothing for another name.
std::optional<CodePointSet> category(std::string_view name);
CodePointSet white_space();
/// Letters, marks, decimal digits, letter-like numbers, connectors, and letters in circles and squares.
CodePointSet word_characters();

bool is_white_space(char32_t code_point);
/// What stands inside a word for an added token with single_word: the word characters and the two joiners.
bool is_word_character(char32_t code_point);

std::string lower_case(std::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
/// Cost: linear, and n log n for n combining marks in a row.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace trireme::unicode
