#include "data/tokenizer/vocabulary.h"

#include <algorithm>
#include <limits>

namespace trireme {

Vocabulary::Vocabulary(const Component& component, std::string_view key) {
  const auto member = component.member(key);
  if (!member || !member->is_object()) component.refuse(key, "an object of tokens and ids");
  const simdjson::dom::object fields = *member;

  std::size_t bytes = 0, count = 0;
  for (const auto& field : fields) bytes += field.key.size(), ++count;
  texts_.reserve(bytes);  // exactly, so that no view is left behind
  id_of_.reserve(count);
  by_id_.reserve(count);
  for (const auto& [token, value] : fields) {
    int64_t id = -1;
    const bool is_id = !value.get(id) && id >= 0 && id <= std::numeric_limits<TokenId>::max();
    TRIREME_CHECK(is_id, DataError, "tokenizer",
                  "{}: the id of {} must be a whole number from 0 to 2147483647; got {}; repair the file.",
                  component.where(key), quote_text(token), shown_json(simdjson::minify(value), 40));
    const std::string_view text = std::string_view(texts_).substr(texts_.size());
    texts_ += token;
    const std::string_view stored(text.data(), token.size());
    const bool is_new = id_of_.emplace(stored, static_cast<TokenId>(id)).second;
    TRIREME_CHECK(is_new, DataError, "tokenizer", "{} must name every token once; got {} twice; repair the file.",
                  component.where(key), quote_text(token));
    by_id_.push_back({static_cast<TokenId>(id), stored});
  }
  const auto by_id = [](const Entry& a, const Entry& b) { return a.id < b.id; };
  if (!std::is_sorted(by_id_.begin(), by_id_.end(), by_id)) std::sort(by_id_.begin(), by_id_.end(), by_id);
  const auto twice =
      std::adjacent_find(by_id_.begin(), by_id_.end(), [](const Entry& a, const Entry& b) { return a.id == b.id; });
  TRIREME_CHECK(twice == by_id_.end(), DataError, "tokenizer",
                "{} must give every id to one token; got id {} for {} and {}; repair the file.", component.where(key),
                twice->id, quote_text(twice->token), quote_text(std::next(twice)->token));
}

std::optional<TokenId> Vocabulary::id(std::string_view token) const {
  const auto found = id_of_.find(token);
  if (found == id_of_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> Vocabulary::token(int64_t id) const {
  const auto found = std::lower_bound(by_id_.begin(), by_id_.end(), id,
                                      [](const Entry& entry, int64_t wanted) { return entry.id < wanted; });
  if (found == by_id_.end() || found->id != id) return std::nullopt;
  return found->token;
}

}  // namespace trireme
