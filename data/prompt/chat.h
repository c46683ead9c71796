#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace trireme {

/// One part of a user turn. Parts are joined with nothing between them.
struct PromptPart {
  enum class Kind { kText, kImage };
  Kind kind = Kind::kText;
  std::string text;  ///< kText only

  static PromptPart image() { return {Kind::kImage, {}}; }
  static PromptPart of_text(std::string text) { return {Kind::kText, std::move(text)}; }
};

inline constexpr std::string_view kQwenSystemPrompt = "You are a helpful assistant.";

/// The ChatML frame of the Qwen families: system block, one user turn, and the open assistant turn:
///   <|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{parts}<|im_end|>\n<|im_start|>assistant\n
/// An image part renders as <|vision_start|><|image_pad|><|vision_end|>. Equal to apply_chat_template(..,
/// add_generation_prompt=True) of the hub's Qwen2-VL and Qwen2.5-VL checkpoints; the checkpoint's own template is not
/// run.
std::string render_chat(std::span<const PromptPart> user_turn, std::string_view system_prompt = kQwenSystemPrompt);

/// The same parts without a system block and without a user turn's beginning:
///   {parts}<|im_end|>\n<|im_start|>assistant\n
std::string render_bare(std::span<const PromptPart> parts);

/// The user turn whose last position embeds a text, an image, or an image with text. Source: LamRA (arXiv:2412.01720)
/// and its released templates; the trailing space is part of them.
///   [image]{text}\nSummarize above image and sentence in one word:    (and so on)
/// throws ConfigError when there is neither.
std::vector<PromptPart> embedding_turn(std::string_view text, bool has_image);

/// [image]{text}, for render_bare(). throws ConfigError when there is neither.
std::vector<PromptPart> bare_turn(std::string_view text, bool has_image);

/// Token ids of a rendered chat, each <|image_pad|> repeated image_tokens[i] times.
/// where: the record, for messages.
/// throws DataError: user text that holds an image or video pad or a vision start or end; InternalError when the number
/// of image parts and of image_tokens differ.
class ChatEncoder {
 public:
  /// tokenizer outlives the encoder. throws DataError: <|im_start|> or <|im_end|> missing from the vocabulary, or
  /// `image_token_id` (config.json; -1 for a text-only model) is not the tokenizer's <|image_pad|>.
  ChatEncoder(const Tokenizer& tokenizer, int64_t image_token_id, std::string system_prompt);

  std::vector<int64_t> encode(std::span<const PromptPart> user_turn, std::span<const int64_t> image_tokens,
                              std::string_view where) const;
  /// The same for render_bare().
  std::vector<int64_t> encode_bare(std::span<const PromptPart> parts, std::span<const int64_t> image_tokens,
                                   std::string_view where) const;

  int64_t image_token_id() const noexcept { return image_token_id_; }

 private:
  std::vector<int64_t> expanded(const std::string& prompt, std::span<const int64_t> image_tokens) const;

  const Tokenizer& tokenizer_;
  int64_t image_token_id_;
  std::string system_prompt_;
};

}  // namespace trireme
