#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizer/component.h"
#include "data/tokenizer/normalizer.h"
#include "data/tokenizer/vocabulary.h"

namespace trireme {

/// A part of a text: an added token, or text between them.
struct TextPart {
  std::string_view text;
  std::optional<TokenId> token;
};

/// Finds the longest of a set of strings at the leftmost place of a text. Cost: the text times the longest string, at
/// worst; one look-up a byte where no string begins.
class StringFinder {
 public:
  struct Match {
    std::size_t begin, end;
    std::size_t index;  ///< into the strings, in the order of add()
  };
  StringFinder() : index_at_(1) {}
  /// text: not empty. false: it is there already.
  bool add(std::string_view text);
  std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  static uint64_t edge(uint32_t node, char byte) { return uint64_t{node} << 8 | static_cast<unsigned char>(byte); }

  std::array<bool, 256> is_first_byte_{};
  std::unordered_map<uint64_t, uint32_t> child_;      ///< a trie: the node behind an edge; 0 is the root
  std::vector<std::optional<std::size_t>> index_at_;  ///< by node, where a string ends
  std::size_t size_ = 0;
};

/// The added tokens of a tokenizer.json: strings found in the text before (`normalized`: after) the normalizer runs.
class AddedTokens {
 public:
  /// normalizer: may be null.
  /// throws DataError: a token that is empty, above 1024 bytes, or that stands twice, also once normalized; an id other
  /// than the one that the `tokenizers` package gives: the vocabulary's, else the next one in the order of the list,
  /// counted from the vocabulary's size; an id that another token has.
  AddedTokens(const std::vector<Component>& tokens, const Vocabulary& vocabulary, const Normalizer* normalizer);

  /// Cuts a text at the tokens that are looked for before, or after, it was normalized. No part is empty.
  std::vector<TextPart> cut_raw(std::string_view text) const;
  std::vector<TextPart> cut_normalized(std::string_view text) const;

  /// By the content in the file.
  std::optional<TokenId> id(std::string_view content) const;
  /// The token's text for decoding: normalized where the token is.
  std::optional<std::string_view> token(int64_t id) const;
  /// Whether a token of this text is left out on request. It is the content in the file that counts, so that a special
  /// token which the normalizer changes is not known again; the package has it so.
  bool is_special(std::string_view token) const;
  int64_t outside_vocabulary() const noexcept { return outside_vocabulary_; }

 private:
  struct Token {
    TokenId id;
    std::string text;  ///< as it is looked for and decoded: normalized where the token is
    bool is_special, is_normalized, is_single_word, strips_left, strips_right;
  };
  struct Finder {
    StringFinder strings;
    std::vector<std::size_t> token_of;  ///< by the index of a match
  };
  static Token read(const Component& component);
  std::vector<TextPart> cut(std::string_view text, const Finder& finder) const;

  std::vector<Token> tokens_;
  std::unordered_map<std::string, std::size_t> by_content_;
  std::unordered_map<int64_t, std::size_t> by_id_;
  Finder raw_, normalized_;
  int64_t outside_vocabulary_ = 0;
};

}  // namespace trireme
