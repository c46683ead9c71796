#include "data/prompt/embedding_prompt.h"

#include <span>

#include "core/error.h"
#include "data/prompt/cut_text.h"

namespace trireme {

EmbeddingPrompt::EmbeddingPrompt(const Tokenizer& tokenizer, const ChatEncoder& encoder, EmbeddingPromptOptions options)
    : tokenizer_(tokenizer), encoder_(encoder), options_(options) {
  TRIREME_ASSERT(!options_.text_tokens || *options_.text_tokens > 0, "text_tokens = {}", *options_.text_tokens);
}

std::vector<int64_t> EmbeddingPrompt::encode(std::string_view text, std::optional<int64_t> image_tokens,
                                             std::string_view where) const {
  const std::string kept = cut_text(tokenizer_, text, options_.text_tokens);
  const bool asks = options_.form == PromptForm::kLamra, bare = options_.form == PromptForm::kBare;
  const std::vector<PromptPart> turn =
      asks ? embedding_turn(kept, image_tokens.has_value()) : bare_turn(kept, image_tokens.has_value());
  const auto images = image_tokens ? std::span(&*image_tokens, 1) : std::span<const int64_t>();
  return bare ? encoder_.encode_bare(turn, images, where) : encoder_.encode(turn, images, where);
}

}  // namespace trireme
