#include "data/tokenizer/added_tokens.h"

#include <algorithm>
#include <limits>

#include "data/tokenizer/unicode.h"

namespace trireme {
namespace {

constexpr std::size_t kMaxTokenBytes = 1024;

}  // namespace

bool StringFinder::add(std::string_view text) {
  TRIREME_ASSERT(!text.empty(), "string {} of a finder", size_);
  is_first_byte_[static_cast<unsigned char>(text[0])] = true;
  uint32_t node = 0;
  for (const char byte : text) {
    const auto [child, is_new] = child_.try_emplace(edge(node, byte), static_cast<uint32_t>(index_at_.size()));
    if (is_new) index_at_.emplace_back();
    node = child->second;
  }
  if (index_at_[node]) return false;
  index_at_[node] = size_++;
  return true;
}

std::optional<StringFinder::Match> StringFinder::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!is_first_byte_[static_cast<unsigned char>(text[begin])]) continue;
    std::optional<Match> longest;
    uint32_t node = 0;
    for (std::size_t end = begin; end < text.size(); ++end) {
      const auto child = child_.find(edge(node, text[end]));
      if (child == child_.end()) break;
      node = child->second;
      if (index_at_[node]) longest = Match{begin, end + 1, *index_at_[node]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

AddedTokens::Token AddedTokens::read(const Component& component) {
  Token token{.id = static_cast<TokenId>(component.integer("id", 0, std::numeric_limits<TokenId>::max())),
              .text = std::string(component.string("content")),
              .is_special = component.boolean("special"),
              .is_normalized = component.boolean("normalized"),
              .is_single_word = component.boolean("single_word"),
              .strips_left = component.boolean("lstrip"),
              .strips_right = component.boolean("rstrip")};
  TRIREME_CHECK(!token.text.empty() && token.text.size() <= kMaxTokenBytes, DataError, "tokenizer",
                "{} must have 1 to {} bytes; got {}; repair the file.", component.where("content"), kMaxTokenBytes,
                token.text.size());
  return token;
}

AddedTokens::AddedTokens(const std::vector<Component>& tokens, const Vocabulary& vocabulary,
                         const Normalizer* normalizer) {
  int64_t next_id = vocabulary.size();
  for (const Component& component : tokens) {
    Token token = read(component);
    const auto in_vocabulary = vocabulary.id(token.text);
    const int64_t expected = in_vocabulary ? *in_vocabulary : next_id;
    TRIREME_CHECK(
        token.id == expected, DataError, "tokenizer",
        "{} of {} must be {}, where the tokenizers package puts it ({}); got {}; number the added tokens anew.",
        component.where("id"), quote_text(token.text), expected,
        in_vocabulary ? "its id in the vocabulary" : "the next after the vocabulary", token.id);
    if (!in_vocabulary) ++next_id, ++outside_vocabulary_;
    TRIREME_CHECK(by_content_.emplace(token.text, tokens_.size()).second, DataError, "tokenizer",
                  "{} must be another than those before it; got {} again; repair the file.", component.where("content"),
                  quote_text(token.text));
    const bool is_free =
        by_id_.emplace(token.id, tokens_.size()).second && (in_vocabulary || !vocabulary.token(token.id));
    TRIREME_CHECK(is_free, DataError, "tokenizer",
                  "{} must belong to no other token; got {} for {}; number the tokens anew.", component.where("id"),
                  token.id, quote_text(token.text));
    tokens_.push_back(std::move(token));
  }

  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    Token& token = tokens_[i];
    if (token.is_normalized && normalizer != nullptr) token.text = normalizer->normalize(token.text);
    TRIREME_CHECK(!token.text.empty(), DataError, "tokenizer",
                  "{} must not vanish when it is normalized; got {}; repair the file.", tokens[i].where("content"),
                  quote_text(tokens[i].string("content")));
    Finder& finder = token.is_normalized ? normalized_ : raw_;
    TRIREME_CHECK(
        finder.strings.add(token.text), DataError, "tokenizer",
        "{} must differ from the others once normalized, for which is meant is not said; got {} again; repair "
        "the file.",
        tokens[i].where("content"), quote_text(token.text));
    finder.token_of.push_back(i);
  }
}

std::vector<TextPart> AddedTokens::cut_raw(std::string_view text) const { return cut(text, raw_); }

std::vector<TextPart> AddedTokens::cut_normalized(std::string_view text) const { return cut(text, normalized_); }

std::vector<TextPart> AddedTokens::cut(std::string_view text, const Finder& finder) const {
  std::vector<TextPart> parts;
  const auto is_word_at = [&](std::size_t i) { return unicode::is_word_character(utf8::at(text, i).value); };
  const auto is_word_before = [&](std::size_t i) { return unicode::is_word_character(utf8::before(text, i).value); };
  std::size_t done = 0;
  for (auto match = finder.strings.find(text, 0); match; match = finder.strings.find(text, match->end)) {
    const Token& token = tokens_[finder.token_of[match->index]];
    auto [begin, end, index] = *match;
    if (token.is_single_word && ((begin > 0 && is_word_before(begin)) || (end < text.size() && is_word_at(end))))
      continue;
    if (token.strips_left) {
      while (begin > 0 && unicode::is_white_space(utf8::before(text, begin).value))
        begin -= utf8::before(text, begin).size;
      begin = std::clamp(begin, done, std::max(done, end));
    }
    if (token.strips_right) {
      while (end < text.size() && unicode::is_white_space(utf8::at(text, end).value)) end += utf8::at(text, end).size;
    }
    if (done < begin) parts.push_back({text.substr(done, begin - done), std::nullopt});
    if (begin < end) parts.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), std::nullopt});
  return parts;
}

std::optional<TokenId> AddedTokens::id(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  if (found == by_content_.end()) return std::nullopt;
  return tokens_[found->second].id;
}

std::optional<std::string_view> AddedTokens::token(int64_t id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return tokens_[found->second].text;
}

bool AddedTokens::is_special(std::string_view token) const {
  const auto found = by_content_.find(std::string(token));
  return found != by_content_.end() && tokens_[found->second].is_special;
}

}  // namespace trireme
