#include "data/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <numeric>

#include <utf8proc.h>

#include "core/error.h"
#include "data/tokenizer/utf8.h"

namespace trireme::unicode {
namespace {

constexpr char32_t kLastCodePoint = 0x10FFFF;
constexpr std::array<std::string_view, 30> kCategories{"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl",
                                                       "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                                       "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};

/// Letters in circles and squares, which are symbols by category and alphabetic all the same.
constexpr std::array<CodePointRange, 4> kCircledLetters{
    {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}}};

/// The range that holds `code_point`, or nothing.
template <class Range>
const Range* find_range(std::span<const Range> ranges, char32_t code_point) {
  const auto next = std::upper_bound(ranges.begin(), ranges.end(), code_point,
                                     [](char32_t c, const Range& range) { return c < range.first; });
  if (next == ranges.begin() || code_point > std::prev(next)->last) return nullptr;
  return &*std::prev(next);
}

bool is_inert(char32_t code_point) { return code_point >= 0x300 && find_range(inert_ranges(), code_point) != nullptr; }

std::string_view category_of(char32_t code_point) {
  const std::span<const uint32_t> starts = category_starts();
  const auto next = std::upper_bound(starts.begin(), starts.end(), uint32_t{code_point} << 8 | 0xFF);
  return kCategories[*std::prev(next) & 0xFF];
}

}  // namespace

CodePointSet::CodePointSet(std::vector<CodePointRange> ranges) : ranges_(std::move(ranges)) {
  std::sort(ranges_.begin(), ranges_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<CodePointRange> joined;
  for (const CodePointRange& range : ranges_) {
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  ranges_ = std::move(joined);
}

bool CodePointSet::contains(char32_t code_point) const { return find_range(ranges(), code_point) != nullptr; }

CodePointSet CodePointSet::operator|(const CodePointSet& other) const {
  std::vector<CodePointRange> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(std::move(all));
}

CodePointSet CodePointSet::operator~() const {
  CodePointSet rest;
  char32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (next < range.first) rest.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) rest.ranges_.push_back({next, kLastCodePoint});
  return rest;
}

std::optional<CodePointSet> category(std::string_view name) {
  std::array<bool, kCategories.size()> wanted{};
  for (std::size_t i = 0; i < kCategories.size(); ++i)
    wanted[i] = kCategories[i] == name || (name.size() == 1 && kCategories[i].starts_with(name));
  if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) return std::nullopt;

  const std::span<const uint32_t> starts = category_starts();
  std::vector<CodePointRange> ranges;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (!wanted[starts[i] & 0xFF]) continue;
    ranges.push_back({starts[i] >> 8, i + 1 < starts.size() ? (starts[i + 1] >> 8) - 1 : kLastCodePoint});
  }
  return CodePointSet(std::move(ranges));
}

CodePointSet white_space() {
  return CodePointSet({{0x09, 0x0D},
                       {0x20, 0x20},
                       {0x85, 0x85},
                       {0xA0, 0xA0},
                       {0x1680, 0x1680},
                       {0x2000, 0x200A},
                       {0x2028, 0x2029},
                       {0x202F, 0x202F},
                       {0x205F, 0x205F},
                       {0x3000, 0x3000}});
}

CodePointSet word_characters() {
  const CodePointSet circled({kCircledLetters.begin(), kCircledLetters.end()});
  return *category("L") | *category("M") | *category("Nd") | *category("Nl") | *category("Pc") | circled;
}

bool is_white_space(char32_t c) {
  if (c < 0x1680) return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_word_character(char32_t code_point) {
  if (code_point == 0x200C || code_point == 0x200D) return true;  // joiners
  const std::string_view category = category_of(code_point);
  return category[0] == 'L' || category[0] == 'M' || category == "Nd" || category == "Nl" || category == "Pc" ||
         std::any_of(kCircledLetters.begin(), kCircledLetters.end(),
                     [&](const auto& range) { return code_point >= range.first && code_point <= range.last; });
}

std::string lower_case(std::string_view text) {
  std::string lower;
  lower.reserve(text.size() + 4);
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, size] = utf8::at(text, i);
    i += size;
    if (c < 0x80) {
      lower.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 0x20 : c));
    } else if (c == 0x130) {  // the one code point whose lower case is two: i and a dot above
      lower += "i\xCC\x87";
    } else {
      const LowerCaseRange* range = find_range(lower_case_ranges(), c);
      const bool hit = range != nullptr && (c - range->first) % range->step == 0;
      utf8::append(lower, hit ? static_cast<char32_t>(static_cast<int32_t>(c) + range->distance) : c);
    }
  }
  return lower;
}

namespace {

/// Code points with their combining classes; -1 for the inert ones.
struct Decomposed {
  std::vector<int32_t> code_points;
  std::vector<int16_t> classes;
};

Decomposed decompose(std::string_view text, bool compatible) {
  const auto option = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  Decomposed out;
  out.code_points.reserve(text.size());
  out.classes.reserve(text.size());
  std::array<int32_t, 32> parts;  // the longest decomposition is 18, of U+FDFA
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, size] = utf8::at(text, i);
    i += size;
    if (is_inert(c)) {
      out.code_points.push_back(static_cast<int32_t>(c));
      out.classes.push_back(-1);
      continue;
    }
    int unused_boundary_class = 0;
    const auto count =
        utf8proc_decompose_char(static_cast<int32_t>(c), parts.data(), parts.size(), option, &unused_boundary_class);
    TRIREME_ASSERT(count > 0 && count <= utf8proc_ssize_t(parts.size()), "U+{:04X} decomposes to {}", uint32_t(c),
                   count);
    for (utf8proc_ssize_t k = 0; k < count; ++k) {
      out.code_points.push_back(parts[k]);
      out.classes.push_back(utf8proc_get_property(parts[k])->combining_class);
    }
  }
  return out;
}

/// Marks between two starters are put in the order of their classes; those of one class stay in their order.
Decomposed in_canonical_order(Decomposed text) {
  const std::size_t size = text.classes.size();
  for (std::size_t begin = 0; begin < size;) {
    if (text.classes[begin] <= 0) {
      ++begin;
      continue;
    }
    std::size_t end = begin + 1;
    while (end < size && text.classes[end] > 0) ++end;
    if (!std::is_sorted(text.classes.begin() + begin, text.classes.begin() + end)) {
      std::vector<std::pair<int16_t, int32_t>> marks;
      for (std::size_t i = begin; i < end; ++i) marks.emplace_back(text.classes[i], text.code_points[i]);
      std::stable_sort(marks.begin(), marks.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      for (std::size_t i = begin; i < end; ++i) std::tie(text.classes[i], text.code_points[i]) = marks[i - begin];
    }
    begin = end;
  }
  return text;
}

/// An inert code point combines with nothing, so the parts between them are composed one by one.
std::vector<int32_t> compose(Decomposed text) {
  std::vector<int32_t> out;
  out.reserve(text.code_points.size());
  for (std::size_t begin = 0; begin < text.code_points.size();) {
    if (text.classes[begin] < 0) {
      out.push_back(text.code_points[begin++]);
      continue;
    }
    std::size_t end = begin + 1;
    while (end < text.code_points.size() && text.classes[end] >= 0) ++end;
    int32_t* part = text.code_points.data() + begin;
    const auto count = utf8proc_normalize_utf32(part, static_cast<utf8proc_ssize_t>(end - begin),
                                                static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    TRIREME_ASSERT(count >= 0, "utf8proc_normalize_utf32 returned {}", count);
    out.insert(out.end(), part, part + count);
    begin = end;
  }
  return out;
}

/// Text below the first code point that the form can change is in that form already: U+0300 for NFC, else U+0080. The
/// lead byte of U+0300 is 0xCC, and continuation bytes are smaller.
bool is_trivially_normal(std::string_view text, NormalForm form) {
  if (form != NormalForm::kNfc) return utf8::is_ascii(text);
  return std::all_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; });
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  if (is_trivially_normal(text, form)) return std::string(text);
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const bool composed = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  Decomposed decomposed = in_canonical_order(decompose(text, compatible));
  const std::vector<int32_t> code_points =
      composed ? compose(std::move(decomposed)) : std::move(decomposed.code_points);
  std::string out;
  out.reserve(text.size() + 8);
  for (const int32_t c : code_points) utf8::append(out, static_cast<char32_t>(c));
  return out;
}

}  // namespace trireme::unicode
