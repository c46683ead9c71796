#include "data/prompt/embedding_prompt.h"

#include <algorithm>
#include <span>

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

EmbeddingPrompt::EmbeddingPrompt(const Tokenizer& tokenizer, const ChatEncoder& encoder, EmbeddingPromptOptions options)
    : tokenizer_(tokenizer), encoder_(encoder), options_(options) {
  TRIREME_ASSERT(!options_.text_tokens || *options_.text_tokens > 0, "text_tokens = {}", *options_.text_tokens);
}

std::string EmbeddingPrompt::truncated(std::string_view text) const {
  if (!options_.text_tokens || is_surely_within(text, *options_.text_tokens)) return std::string(text);
  const std::vector<int64_t> ids = tokenizer_.encode(text);
  if (std::ssize(ids) <= *options_.text_tokens) return std::string(text);
  return tokenizer_.decode(std::span(ids).first(static_cast<std::size_t>(*options_.text_tokens)));
}

std::vector<int64_t> EmbeddingPrompt::encode(std::string_view text, std::optional<int64_t> image_tokens,
                                             std::string_view where) const {
  const std::string kept = truncated(text);
  const bool bare = options_.form == PromptForm::kBare;
  const std::vector<PromptPart> turn =
      bare ? bare_turn(kept, image_tokens.has_value()) : embedding_turn(kept, image_tokens.has_value());
  const auto images = image_tokens ? std::span(&*image_tokens, 1) : std::span<const int64_t>();
  return bare ? encoder_.encode_bare(turn, images, where) : encoder_.encode(turn, images, where);
}

}  // namespace trireme
