#pragma once

#include <cstdint>
#include <span>

/// Generated tables (tests/golden/tokenizer/make_unicode_table.py); unicode.h is the way to them.
namespace trireme::unicode {

/// Both ends included.
struct CodePointRange {
  char32_t first, last;
};

/// first, first + step, .., last have their lower case at `distance`.
struct LowerCaseRange {
  char32_t first, last;
  int32_t step, distance;
};

/// Code point << 8 | general category, for every code point whose category differs from the one before it; ascending.
std::span<const uint32_t> category_starts();

/// Code points that the package's normal forms do not know yet, although they decompose, combine or move in newer
/// versions of Unicode; ascending.
std::span<const CodePointRange> inert_ranges();

std::span<const LowerCaseRange> lower_case_ranges();

}  // namespace trireme::unicode
