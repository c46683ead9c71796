#include "data/prompt/cut_text.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/error.h"

namespace trireme {
namespace {

/// Whether no tokenisation of the text can have more than `tokens` tokens: a token has a byte at least, and
/// normalisation to NFC lengthens text that is not ASCII by a factor of three at most.
bool is_surely_within(std::string_view text, int64_t tokens) {
  constexpr int64_t kLargestGrowth = 3;
  const auto bytes = std::ssize(text);
  if (bytes * kLargestGrowth <= tokens) return true;
  return bytes <= tokens &&
         std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
}

}  // namespace

std::string cut_text(const Tokenizer& tokenizer, std::string_view text, std::optional<int64_t> tokens) {
  TRIREME_ASSERT(!tokens || *tokens > 0, "{} tokens", *tokens);
  if (!tokens || is_surely_within(text, *tokens)) return std::string(text);
  const std::vector<int64_t> ids = tokenizer.encode(text);
  if (std::ssize(ids) <= *tokens) return std::string(text);
  return tokenizer.decode(std::span(ids).first(static_cast<std::size_t>(*tokens)));
}

}  // namespace trireme
