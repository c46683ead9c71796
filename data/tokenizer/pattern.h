#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// Bytes begin, .., end - 1 of a text.
struct Span {
  uint32_t begin, end;
  bool operator==(const Span&) const = default;
};

/// What a pre-tokenizer or normalizer looks for in a text: a regular expression or a fixed string. Immutable, safe to
/// use from several threads.
class Pattern {
 public:
  /// where: the component that holds the pattern, for messages.
  /// throws DataError: what translate_regex() refuses, and what PCRE2 does (a look-behind without a fixed length).
  static Pattern regex(std::string_view source, std::string_view where);
  /// The empty string is found between any two characters, as the regular expression "" is.
  static Pattern literal(std::string_view text);

  /// The matches from left to right, none overlapping another. An empty match is left out where the one before it ends,
  /// and nothing is found in an empty text.
  /// throws DataError: a pattern that backtracks more than ten million times from one place, or into more than 64 MiB.
  std::vector<Span> find_all(std::string_view text) const;
  /// `text` with `content` in place of every match.
  std::string replace_all(std::string_view text, std::string_view content) const;

  /// The inside of a pattern.
  struct Finder {
    virtual ~Finder() = default;
    virtual std::vector<Span> find_all(std::string_view text) const = 0;
  };

 private:
  explicit Pattern(std::unique_ptr<const Finder> finder) : finder_(std::move(finder)) {}
  std::unique_ptr<const Finder> finder_;
};

}  // namespace trireme
