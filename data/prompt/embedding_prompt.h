#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "data/prompt/chat.h"

namespace trireme {

/// What stands around a record's text and image.
enum class PromptForm {
  kLamra,  ///< the chat frame around embedding_turn()
  kChat,   ///< the chat frame around [image]{text}: a user who says just that
  kBare,   ///< [image]{text}<|im_end|>\n<|im_start|>assistant\n and nothing else
};
constexpr auto choice_names(PromptForm) {
  return std::to_array<std::pair<PromptForm, std::string_view>>(
      {{PromptForm::kLamra, "lamra"}, {PromptForm::kChat, "chat"}, {PromptForm::kBare, "bare"}});
}

struct EmbeddingPromptOptions {
  PromptForm form = PromptForm::kLamra;
  /// The text is cut after so many tokens and decoded again, as LamRA does; what stands around it never is.
  std::optional<int64_t> text_tokens;
};

/// Token ids of the prompt whose last position embeds a text, an image, or both. Safe to use from several threads.
class EmbeddingPrompt {
 public:
  /// Both outlive the prompt.
  EmbeddingPrompt(const Tokenizer& tokenizer, const ChatEncoder& encoder, EmbeddingPromptOptions options);

  /// image_tokens: how many image tokens the image takes, when there is one.
  /// throws DataError: as ChatEncoder::encode(). ConfigError: neither text nor image.
  std::vector<int64_t> encode(std::string_view text, std::optional<int64_t> image_tokens, std::string_view where) const;

 private:
  const Tokenizer& tokenizer_;
  const ChatEncoder& encoder_;
  EmbeddingPromptOptions options_;
};

}  // namespace trireme
