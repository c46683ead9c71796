#include "data/tokenizer/regex_dialect.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "data/tokenizer/unicode.h"
#include "data/tokenizer/utf8.h"

namespace trireme {
namespace {

using unicode::CodePointSet;

constexpr std::size_t kMaxPatternBytes = 4096;
constexpr int kMaxRepeat = 1000;
constexpr int kFirstSharedByte = 0x80;
constexpr char32_t kFirstBeyondAscii = 0x80;
constexpr char32_t kEndOfCodePoints = 0x110000;

/// Two letters that Oniguruma also matches against one character when case is ignored: ß, ﬀ, ﬁ, ﬂ, ﬅ.
constexpr std::array<std::string_view, 5> kLigatures{"ss", "ff", "fi", "fl", "st"};

/// \w as an atom of its own. Oniguruma counts the superscripts and fractions of Latin-1 in there, and not in [\w].
CodePointSet word_atom() {
  return unicode::word_characters() | CodePointSet({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}});
}

/// The pattern cut into sets of code points, each matching one, and the syntax between them, which PCRE2 shares.
struct Token {
  std::string syntax;  ///< verbatim for PCRE2; unused where there is a set
  std::optional<CodePointSet> set;
};

class Parser {
 public:
  Parser(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {}

  std::vector<Token> parse() {
    check(pattern_.size() <= kMaxPatternBytes, "a pattern of {} bytes", pattern_.size());
    while (at_ < pattern_.size()) parse_one();
    check(groups_.empty(), "a group without an end");
    return std::move(tokens_);
  }

 private:
  struct Group {
    bool ignores_case, is_assertion;
  };
  /// What a quantifier would apply to.
  enum class Last { kNothing, kAtom, kQuantified };

  template <class... Args>
  void check(bool condition, fmt::format_string<Args...> got, Args&&... args) const {
    if (condition) [[likely]]
      return;
    throw DataError(where_,
                    fmt::format("a pattern must keep to the built-in part of Oniguruma's syntax; got {} at byte "
                                "{} of {}; rewrite the pattern without it.",
                                fmt::format(got, std::forward<Args>(args)...), at_, quote_text(pattern_)));
  }

  bool peek(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool take(std::string_view text) {
    if (!peek(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t take_code_point() {
    check(at_ < pattern_.size(), "the end of the pattern in the middle of it");
    const auto [code_point, size] = utf8::at(pattern_, at_);
    at_ += size;
    return code_point;
  }

  void emit(std::string_view syntax, Last last) {
    tokens_.push_back({std::string(syntax), std::nullopt});
    last_ = last;
    if (syntax == "|") previous_letter_.reset();
  }
  void emit(CodePointSet set) {
    tokens_.push_back({"", std::move(set)});
    last_ = Last::kAtom;
    previous_letter_.reset();
  }

  void parse_one() {
    if (peek("[")) return emit(parse_class());
    if (peek("(")) return open_group();
    if (peek("\\")) return parse_escape();
    if (take(")")) {
      check(!groups_.empty(), "`)` without a group");
      const bool is_assertion = groups_.back().is_assertion;
      groups_.pop_back();
      return emit(")", is_assertion ? Last::kNothing : Last::kAtom);
    }
    if (take("|")) return emit("|", Last::kNothing);
    if (take(".")) return emit(~CodePointSet('\n'));
    if (take("^")) return emit(std::string(kLineStart), Last::kNothing);
    if (take("$")) return emit(std::string(kLineEnd), Last::kNothing);
    if (peek("?") || peek("*") || peek("+") || peek("{")) return parse_quantifier();
    check(!peek("]") && !peek("}"), "`{}` outside of a class or an interval", pattern_[at_]);
    emit_literal(take_code_point());
  }

  void emit_literal(char32_t c) {
    if (!ignores_case()) return emit(CodePointSet(c));
    check(c < kFirstBeyondAscii, "U+{:04X} where case is ignored", uint32_t(c));
    const CodePointSet both = both_cases(c);
    if (!is_letter(c)) return emit(both);
    const char letter = static_cast<char>(c | 0x20);
    const std::string pair{previous_letter_.value_or(' '), letter};
    check(std::find(kLigatures.begin(), kLigatures.end(), pair) == kLigatures.end(),
          "\"{}\", which has a ligature, where case is ignored", pair);
    emit(both);
    previous_letter_ = letter;
  }

  static bool is_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
  /// The ASCII character in either case, and the two letters beyond ASCII that fold to one: long s, the Kelvin sign.
  static CodePointSet both_cases(char32_t c) {
    if (!is_letter(c)) return CodePointSet(c);
    const CodePointSet both = CodePointSet(c | 0x20) | CodePointSet(c & ~0x20u);
    if ((c | 0x20) == 's') return both | CodePointSet(0x17F);
    if ((c | 0x20) == 'k') return both | CodePointSet(0x212A);
    return both;
  }
  bool ignores_case() const { return !groups_.empty() && groups_.back().ignores_case; }

  void open_group() {
    struct Form {
      std::string_view source, pcre;
      bool ignores_case, is_assertion;
    };
    static constexpr std::array<Form, 7> kForms{{{"(?:", "(?:", false, false},
                                                 {"(?i:", "(?:", true, false},
                                                 {"(?>", "(?>", false, false},
                                                 {"(?=", "(?=", false, true},
                                                 {"(?!", "(?!", false, true},
                                                 {"(?<=", "(?<=", false, true},
                                                 {"(?<!", "(?<!", false, true}}};
    const bool outer = ignores_case();
    for (const Form& form : kForms) {
      if (!take(form.source)) continue;
      groups_.push_back({outer || form.ignores_case, form.is_assertion});
      return emit(form.pcre, Last::kNothing);
    }
    check(!peek("(?"), "a group {}", quote_text(pattern_.substr(at_, 4)));
    take("(");
    groups_.push_back({outer, false});
    emit("(?:", Last::kNothing);  // what a group caught is asked by nobody
  }

  void parse_quantifier() {
    check(last_ == Last::kAtom, "a quantifier of {}", last_ == Last::kNothing ? "nothing" : "a quantifier");
    if (peek("{")) return parse_interval();
    std::string syntax(1, pattern_[at_++]);
    if (peek("?") || peek("+")) syntax += pattern_[at_++];
    emit(syntax, Last::kQuantified);
  }

  void parse_interval() {
    take("{");
    const std::optional<int> low = parse_number();
    const bool has_comma = take(",");
    const std::optional<int> high = has_comma ? parse_number() : low;
    check(take("}") && (low || high), "`{{` that begins no interval");
    check(!low || !high || *low <= *high, "an interval that ends before it begins");
    check(!peek("+") && (has_comma || !peek("?")), "`{}` behind an interval, where Oniguruma means something else",
          at_ < pattern_.size() ? pattern_[at_] : ' ');
    std::string syntax = fmt::format("{{{}", low.value_or(0));
    if (has_comma) syntax += high ? fmt::format(",{}", *high) : ",";
    syntax += '}';
    if (take("?")) syntax += '?';
    emit(syntax, Last::kQuantified);
  }

  std::optional<int> parse_number() {
    std::optional<int> number;
    while (at_ < pattern_.size() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
      number = number.value_or(0) * 10 + (pattern_[at_++] - '0');
      check(*number <= kMaxRepeat, "a repeat above {}", kMaxRepeat);
    }
    return number;
  }

  void parse_escape() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kAnchors{
        {{"\\A", "\\A"}, {"\\z", "\\z"}}};
    for (const auto& [source, pcre] : kAnchors)
      if (take(source)) return emit(pcre, Last::kNothing);
    if (peek("\\b") || peek("\\B")) return parse_word_boundary();
    if (const std::optional<CodePointSet> set = parse_set_escape(word_atom())) return emit(*set);
    emit_literal(parse_character_escape());
  }

  /// \b and \B by what stands on both sides, for PCRE2 would ask its own idea of a word.
  void parse_word_boundary() {
    const bool is_boundary = take("\\b");
    if (!is_boundary) take("\\B");
    const CodePointSet word = word_atom();
    const auto side = [&](std::string_view group) {
      emit(group, Last::kNothing);
      emit(word);
      emit(")", Last::kNothing);
    };
    emit("(?:", Last::kNothing);
    side("(?<="), side(is_boundary ? "(?!" : "(?=");
    emit("|", Last::kNothing);
    side("(?<!"), side(is_boundary ? "(?=" : "(?!");
    emit(")", Last::kNothing);
  }

  /// \s, \d, \w, \p{..} and their complements. word: what \w is here.
  std::optional<CodePointSet> parse_set_escape(const CodePointSet& word) {
    if (take("\\s")) return unicode::white_space();
    if (take("\\S")) return ~unicode::white_space();
    if (take("\\d")) return *unicode::category("Nd");
    if (take("\\D")) return ~*unicode::category("Nd");
    check(!ignores_case() || !(peek("\\w") || peek("\\W") || peek("\\p") || peek("\\P")),
          "a property where case is ignored");
    if (take("\\w")) return word;
    if (take("\\W")) return ~word;
    if (!peek("\\p") && !peek("\\P")) return std::nullopt;
    bool is_complement = peek("\\P");
    at_ += 2;
    check(take("{"), "\\p without a name in braces");
    if (take("^")) is_complement = !is_complement;
    const std::size_t length = std::min(pattern_.find('}', at_), pattern_.size()) - at_;
    const std::string_view name = pattern_.substr(at_, length);
    const std::optional<CodePointSet> set = unicode::category(name);
    check(set.has_value() && at_ + length < pattern_.size(),
          "the property {}, where only general categories (L, Lu, N, Nd, ..) are built in", quote_text(name));
    at_ += length + 1;
    return is_complement ? ~*set : *set;
  }

  char32_t parse_character_escape() {
    take("\\");
    const char32_t c = take_code_point();
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'a':
        return '\a';
      case 'e':
        return 0x1B;
      case 'x':
        return take("{") ? parse_hex(8, "}") : parse_byte_escape();
      case 'u':
        return parse_hex(4, "");
      default:
        break;
    }
    const bool is_punctuation = c < kFirstBeyondAscii && !is_letter(c) && !(c >= '0' && c <= '9') && c > ' ';
    check(is_punctuation || c == ' ', "the escape \\{}", c < kFirstBeyondAscii && c > ' ' ? char(c) : '?');
    return c;
  }

  char32_t parse_byte_escape() {
    const char32_t c = parse_hex(2, "");
    check(c < kFirstBeyondAscii, "\\x with a byte beyond ASCII");
    return c;
  }

  /// Up to (with an end: ) or exactly `digits` hexadecimal digits.
  char32_t parse_hex(int digits, std::string_view end) {
    char32_t value = 0;
    int count = 0;
    for (; count < digits && at_ < pattern_.size(); ++count, ++at_) {
      const char c = pattern_[at_];
      const int digit = c >= '0' && c <= '9' ? c - '0' : is_letter(c) && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
      if (digit < 0) break;
      value = value << 4 | static_cast<char32_t>(digit);
    }
    check(count > 0 && (!end.empty() || count == digits) && take(end), "a broken hexadecimal escape");
    check(value < kEndOfCodePoints && (value < 0xD800 || value > 0xDFFF), "U+{:04X}, which is no code point",
          uint32_t(value));
    return value;
  }

  CodePointSet parse_class() {
    take("[");
    const bool is_complement = take("^");
    CodePointSet set;
    bool is_first = true;
    while (!take("]")) {
      check(at_ < pattern_.size(), "a class without an end");
      check(!peek("["), "a class inside a class");
      check(!peek("&&"), "an intersection of classes");
      set = set | parse_class_item(is_first);
      is_first = false;
    }
    check(!is_first, "an empty class");
    check(!ignores_case() || !is_complement, "a complement where case is ignored");
    return is_complement ? ~set : set;
  }

  CodePointSet parse_class_item(bool is_first) {
    if (peek("\\")) {
      if (const std::optional<CodePointSet> set = parse_set_escape(unicode::word_characters())) {
        check(!peek("-") || pattern_.substr(at_, 2) == "-]", "a property as the end of a range");
        return *set;
      }
    }
    const bool is_dash = peek("-");
    check(!is_dash || is_first || pattern_.substr(at_, 2) == "-]", "`-` inside a class that is neither first nor last");
    const char32_t first = parse_class_character();
    char32_t last = first;
    if (!is_dash && peek("-") && pattern_.substr(at_, 2) != "-]") {
      take("-");
      check(!peek("[") && !peek("\\p") && !peek("\\P") && !peek("\\s") && !peek("\\d") && !peek("\\w"),
            "a range without an end");
      last = parse_class_character();
      check(first <= last, "a range that ends before it begins");
    }
    if (!ignores_case()) return CodePointSet(first, last);
    check(last < kFirstBeyondAscii, "U+{:04X} where case is ignored", uint32_t(last));
    CodePointSet set;
    for (char32_t c = first; c <= last; ++c) set = set | both_cases(c);
    return set;
  }

  char32_t parse_class_character() {
    if (!peek("\\")) return take_code_point();
    check(!peek("\\b") && !peek("\\B"), "\\b in a class");
    return parse_character_escape();
  }

  /// Ruby's anchors are those of lines: behind a line feed, but not at the very end; before a line feed, or at the end.
  static constexpr std::string_view kLineStart = "(?:\\A|(?<=\\x0a)(?!\\z))", kLineEnd = "(?=\\x0a|\\z)";

  std::string_view pattern_, where_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
  std::vector<Group> groups_;
  Last last_ = Last::kNothing;
  std::optional<char> previous_letter_;  ///< where case is ignored: the letter last seen, in lower case
};

/// A class of PCRE2 that holds the bytes of `members`.
std::string byte_class(const std::array<bool, 256>& members) {
  if (std::find(members.begin(), members.end(), true) == members.end()) return "(?!)";
  std::string text = "[";
  for (int first = 0; first < 256; ++first) {
    if (!members[first]) continue;
    int last = first;
    while (last + 1 < 256 && members[last + 1]) ++last;
    text += last > first ? fmt::format("\\x{:02x}-\\x{:02x}", first, last) : fmt::format("\\x{:02x}", first);
    first = last;
  }
  return text + "]";
}

/// Beyond ASCII, the code points where some set begins or ends: between two of them every set is constant.
std::vector<char32_t> boundaries(const std::vector<Token>& tokens) {
  std::vector<char32_t> all{kFirstBeyondAscii, kEndOfCodePoints};
  for (const Token& token : tokens) {
    if (!token.set) continue;
    for (const auto& [first, last] : token.set->ranges()) {
      if (first > kFirstBeyondAscii) all.push_back(first);
      if (last >= kFirstBeyondAscii) all.push_back(last + 1);
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

CodePointClasses::CodePointClasses(std::span<const uint8_t> byte_of_code_point) {
  std::map<Page, uint16_t> index_of;
  for (std::size_t begin = 0; begin < byte_of_code_point.size(); begin += kPageSize) {
    Page page;
    std::copy_n(byte_of_code_point.begin() + begin, kPageSize, page.begin());
    const auto [place, is_new] = index_of.try_emplace(page, static_cast<uint16_t>(pages_.size()));
    if (is_new) pages_.push_back(page);
    page_of_.push_back(place->second);
  }
}

std::string CodePointClasses::classes_of(std::string_view text) const {
  std::string classes;
  classes.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto [code_point, size] = utf8::at(text, i);
    classes.push_back(static_cast<char>(of(code_point)));
    i += size;
  }
  return classes;
}

ByteRegex translate_regex(std::string_view pattern, std::string_view where) {
  const std::vector<Token> tokens = Parser(pattern, where).parse();
  const std::vector<char32_t> bounds = boundaries(tokens);

  std::vector<uint8_t> byte_of(kEndOfCodePoints);
  std::iota(byte_of.begin(), byte_of.begin() + kFirstBeyondAscii, uint8_t{0});
  std::map<std::vector<bool>, int> byte_of_membership;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    std::vector<bool> membership;
    for (const Token& token : tokens)
      if (token.set) membership.push_back(token.set->contains(bounds[i]));
    const int next = kFirstSharedByte + static_cast<int>(byte_of_membership.size());
    const int byte = byte_of_membership.try_emplace(std::move(membership), next).first->second;
    TRIREME_CHECK(
        byte < 256, DataError, where,
        "a pattern may tell at most 128 kinds of characters beyond ASCII apart; got more in {}; split it into "
        "several pre-tokenizers.",
        quote_text(pattern));
    std::fill(byte_of.begin() + bounds[i], byte_of.begin() + bounds[i + 1], static_cast<uint8_t>(byte));
  }

  ByteRegex regex{.pcre = "", .classes = CodePointClasses(byte_of)};
  std::size_t set_index = 0;
  for (const Token& token : tokens) {
    if (!token.set) {
      regex.pcre += token.syntax;
      continue;
    }
    std::array<bool, 256> members{};
    for (int c = 0; c < kFirstSharedByte; ++c) members[c] = token.set->contains(static_cast<char32_t>(c));
    for (const auto& [membership, byte] : byte_of_membership) members[byte] = membership[set_index];
    regex.pcre += byte_class(members);
    ++set_index;
  }
  return regex;
}

}  // namespace trireme
