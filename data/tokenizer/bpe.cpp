#include "data/tokenizer/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <unordered_map>

#include "data/tokenizer/merges.h"

namespace trireme {
namespace {

constexpr TokenId kNone = -1;
constexpr char32_t kLowCharacters = 0x180;  ///< the alphabet of byte-level BPE ends at U+0143

struct BpeTables {
  explicit BpeTables(const Component& component);

  /// Of one character of a word, with what the model writes before and behind it; kNone where there is no token.
  TokenId id_of_character(std::string_view character, bool is_first, bool is_last) const;

  std::string where;
  Vocabulary vocabulary;
  std::string prefix, suffix;  ///< of every character but the first, and of the last
  std::optional<std::string> unknown;
  bool fuse_unknown, byte_fallback, ignore_merges;
  std::vector<TokenId> result_of_rank;
  MergeTable merges;
  std::vector<TokenId> id_of_low_character;  ///< [kLowCharacters], without prefix and suffix
  std::vector<TokenId> id_of_byte;           ///< [256], of the tokens <0x00> to <0xFF>

 private:
  std::vector<MergeOfPair> read_merges(const Component& component) const;
};

/// The two sides of a merge: "left right", or ["left", "right"].
struct Sides {
  std::string_view left, right;
};

std::optional<Sides> sides_of(simdjson::dom::element merge) {
  std::string_view text;
  if (!merge.get(text)) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
    return Sides{text.substr(0, space), text.substr(space + 1)};
  }
  simdjson::dom::array pair;
  Sides sides;
  if (merge.get(pair) || pair.size() != 2 || pair.at(0).get(sides.left) || pair.at(1).get(sides.right))
    return std::nullopt;
  return sides;
}

BpeTables::BpeTables(const Component& component)
    : where(component.where()),
      vocabulary(component, "vocab"),
      prefix(component.optional_string("continuing_subword_prefix").value_or("")),
      suffix(component.optional_string("end_of_word_suffix").value_or("")),
      unknown(component.optional_string("unk_token")),
      fuse_unknown(component.boolean("fuse_unk", false)),
      byte_fallback(component.boolean("byte_fallback", false)),
      ignore_merges(component.boolean("ignore_merges", false)),
      merges({}) {
  if (component.optional_number("dropout").value_or(0) != 0)
    component.refuse("dropout", "null or 0: ids are not random here");

  const std::vector<MergeOfPair> all = read_merges(component);
  for (const MergeOfPair& merge : all) result_of_rank.push_back(merge.merge.result);
  merges = MergeTable(all);

  for (char32_t c = 0; c < kLowCharacters; ++c) {
    std::string character;
    utf8::append(character, c);
    id_of_low_character.push_back(vocabulary.id(character).value_or(kNone));
  }
  for (int byte = 0; byte < 256; ++byte)
    id_of_byte.push_back(vocabulary.id(fmt::format("<0x{:02X}>", byte)).value_or(kNone));
}

std::vector<MergeOfPair> BpeTables::read_merges(const Component& component) const {
  const simdjson::dom::array list = component.array("merges");
  TRIREME_CHECK(list.size() <= std::numeric_limits<int32_t>::max(), DataError, "tokenizer",
                "{} must have less than 2^31 entries; got {}; repair the file.", component.where("merges"),
                list.size());
  std::vector<MergeOfPair> all;
  all.reserve(list.size());
  std::string joined;
  std::size_t place = 0;
  const auto id_of = [&](std::string_view token) {
    const auto id = vocabulary.id(token);
    TRIREME_CHECK(
        id.has_value(), DataError, "tokenizer",
        "{}[{}] must be of two tokens of the vocabulary, and make one; got {}, which is none; repair the file.",
        component.where("merges"), place, quote_text(token));
    return *id;
  };
  for (const simdjson::dom::element merge : list) {
    const std::optional<Sides> sides = sides_of(merge);
    const bool is_comment = merge.is_string() && std::string_view(merge).starts_with("#version");
    TRIREME_CHECK((sides || is_comment) && merge.is_string() == list.at(0).value().is_string(), DataError, "tokenizer",
                  "{}[{}] must be \"left right\" or [\"left\", \"right\"], all in one form; got {}; repair the file.",
                  component.where("merges"), place, shown_json(simdjson::minify(merge)));
    if (!is_comment) {
      TRIREME_CHECK(sides->right.size() >= prefix.size(), DataError, "tokenizer",
                    "{}[{}] must have a right side that begins with the prefix {}; got {}; repair the file.",
                    component.where("merges"), place, quote_text(prefix), quote_text(sides->right));
      joined.assign(sides->left).append(sides->right.substr(prefix.size()));
      all.push_back({id_of(sides->left), id_of(sides->right), {static_cast<int32_t>(all.size()), id_of(joined)}});
    }
    ++place;
  }
  return all;
}

TokenId BpeTables::id_of_character(std::string_view character, bool is_first, bool is_last) const {
  const bool is_bare = (is_first || prefix.empty()) && (!is_last || suffix.empty());
  if (is_bare) {
    const char32_t c = utf8::at(character, 0).value;
    return c < kLowCharacters ? id_of_low_character[c] : vocabulary.id(character).value_or(kNone);
  }
  std::string dressed(is_first ? "" : prefix);
  dressed.append(character).append(is_last ? suffix : "");
  return vocabulary.id(dressed).value_or(kNone);
}

/// Encodes word after word; keeps the working memory between them.
class WordEncoder {
 public:
  explicit WordEncoder(const BpeTables& tables) : tables_(tables) {}

  std::span<const TokenId> encode(std::string_view word) {
    ids_.clear();
    const auto whole = tables_.ignore_merges ? tables_.vocabulary.id(word) : std::nullopt;
    if (whole) {
      ids_.push_back(*whole);
    } else {
      start(word);
      merge();
      for (const Symbol& symbol : symbols_)
        if (symbol.id != kNone) ids_.push_back(symbol.id);
    }
    return ids_;
  }

 private:
  struct Symbol {
    TokenId id;              ///< kNone where the symbol went into the one before it
    int32_t previous, next;  ///< -1 at the ends
  };

  void start(std::string_view word) {
    symbols_.clear();
    bool is_unknown_pending = false;
    const auto flush_unknown = [&] {
      if (is_unknown_pending) add(unknown_id());
      is_unknown_pending = false;
    };
    for (std::size_t begin = 0; begin < word.size();) {
      const std::string_view character = word.substr(begin, utf8::at(word, begin).size);
      const bool is_first = begin == 0, is_last = begin + character.size() == word.size();
      begin += character.size();
      const TokenId id = tables_.id_of_character(character, is_first, is_last);
      if (id != kNone) {
        flush_unknown();
        add(id);
      } else if (!(tables_.byte_fallback && add_bytes(character, is_first, is_last)) && tables_.unknown) {
        // Bytes overtake the unknown character before them, as they do in the package.
        if (!tables_.fuse_unknown) flush_unknown();
        is_unknown_pending = true;
        unknown_id();
      }
    }
    flush_unknown();
  }

  /// The character as tokens of its bytes; adds nothing when one of them is missing.
  bool add_bytes(std::string_view character, bool is_first, bool is_last) {
    std::string bytes(is_first ? "" : tables_.prefix);
    bytes.append(character).append(is_last ? tables_.suffix : "");
    const auto id_of = [&](char byte) { return tables_.id_of_byte[static_cast<unsigned char>(byte)]; };
    if (std::any_of(bytes.begin(), bytes.end(), [&](char byte) { return id_of(byte) == kNone; })) return false;
    for (const char byte : bytes) add(id_of(byte));
    return true;
  }

  TokenId unknown_id() const {
    const auto id = tables_.vocabulary.id(*tables_.unknown);
    TRIREME_CHECK(
        id.has_value(), DataError, "tokenizer",
        "{}.unk_token must be in the vocabulary, for the text has an unknown character; got {}; repair the file.",
        tables_.where, quote_text(*tables_.unknown));
    return *id;
  }

  void add(TokenId id) {
    const auto position = static_cast<int32_t>(symbols_.size());
    if (position > 0) symbols_.back().next = position;
    symbols_.push_back({id, position - 1, -1});
  }

  void merge() {
    queue_.clear();
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) enqueue(static_cast<int32_t>(i), false);
    std::make_heap(queue_.begin(), queue_.end(), std::greater<>());
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
      const uint64_t first = queue_.back();
      queue_.pop_back();
      merge_at(static_cast<int32_t>(first & 0xFFFFFFFF), tables_.result_of_rank[first >> 32]);
    }
  }

  void merge_at(int32_t position, TokenId result) {
    Symbol& left = symbols_[position];
    if (left.id == kNone || left.next < 0) return;
    Symbol& right = symbols_[left.next];
    // The pair may have changed since it was queued. What counts is what it makes now, as in the package.
    const Merge now = tables_.merges.find(left.id, right.id);
    if (now.rank < 0 || now.result != result) return;
    left.id = result;
    left.next = right.next;
    right.id = kNone;
    if (left.next >= 0) symbols_[left.next].previous = position;
    if (left.previous >= 0) enqueue(left.previous, true);
    if (left.next >= 0) enqueue(position, true);
  }

  /// The pair that begins at `position`.
  void enqueue(int32_t position, bool is_heap) {
    const Symbol& left = symbols_[position];
    const int32_t rank = tables_.merges.find(left.id, symbols_[left.next].id).rank;
    if (rank < 0) return;
    queue_.push_back(uint64_t{static_cast<uint32_t>(rank)} << 32 | static_cast<uint32_t>(position));
    if (is_heap) std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
  }

  const BpeTables& tables_;
  std::vector<Symbol> symbols_;
  std::vector<uint64_t> queue_;  ///< a heap of rank << 32 | position
  std::vector<TokenId> ids_;
};

class Bpe : public TokenizerModel {
 public:
  explicit Bpe(const Component& component) : tables_(component) {}

  std::vector<int64_t> encode(const Words& words) const override {
    std::vector<int64_t> ids;
    ids.reserve(words.text.size() / 4);
    WordEncoder encoder(tables_);
    for (std::size_t i = 0; i < words.spans.size(); ++i) {
      const std::span<const TokenId> word = encoder.encode(words[i]);
      ids.insert(ids.end(), word.begin(), word.end());
    }
    return ids;
  }

  const Vocabulary& vocabulary() const override { return tables_.vocabulary; }

 private:
  BpeTables tables_;
};

}  // namespace

std::unique_ptr<const TokenizerModel> make_bpe(const Component& component) { return std::make_unique<Bpe>(component); }

}  // namespace trireme
