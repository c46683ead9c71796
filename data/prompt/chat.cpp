#include "data/prompt/chat.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace trireme {
namespace {

constexpr std::string_view kImagePad = "<|image_pad|>";

/// In user text these would be taken for images that are not there.
constexpr std::array<std::string_view, 4> kReservedInText = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>",
                                                             "<|vision_end|>"};

void refuse_reserved_tokens(std::string_view text, std::string_view where) {
  for (std::string_view token : kReservedInText) {
    TRIREME_CHECK(text.find(token) == std::string_view::npos, DataError, where,
                  "text must not hold the token {0}; got it at byte {1}; remove it from the text.", token,
                  text.find(token));
  }
}

void append_parts(std::string& out, std::span<const PromptPart> parts) {
  for (const PromptPart& part : parts) {
    if (part.kind == PromptPart::Kind::kImage) {
      out.append("<|vision_start|>").append(kImagePad).append("<|vision_end|>");
    } else {
      out.append(part.text);
    }
  }
}

constexpr std::string_view kOpenAssistantTurn = "<|im_end|>\n<|im_start|>assistant\n";

void check_parts(std::span<const PromptPart> parts, std::span<const int64_t> image_tokens, std::string_view where) {
  const auto images =
      std::count_if(parts.begin(), parts.end(), [](const PromptPart& p) { return p.kind == PromptPart::Kind::kImage; });
  TRIREME_ASSERT(images == std::ssize(image_tokens), "{} image parts and {} token counts", images, image_tokens.size());
  for (const PromptPart& part : parts) {
    if (part.kind == PromptPart::Kind::kText) refuse_reserved_tokens(part.text, where);
  }
}

}  // namespace

std::string render_chat(std::span<const PromptPart> user_turn, std::string_view system_prompt) {
  std::string out = "<|im_start|>system\n";
  out.append(system_prompt).append("<|im_end|>\n<|im_start|>user\n");
  append_parts(out, user_turn);
  return out.append(kOpenAssistantTurn);
}

std::string render_bare(std::span<const PromptPart> parts) {
  std::string out;
  append_parts(out, parts);
  return out.append(kOpenAssistantTurn);
}

std::vector<PromptPart> embedding_turn(std::string_view text, bool has_image) {
  TRIREME_CHECK(has_image || !text.empty(), ConfigError, "embedding_turn",
                "a text or an image must be given; got neither; drop the record.");
  std::vector<PromptPart> turn;
  if (has_image) turn.push_back(PromptPart::image());
  const std::string_view what = !has_image ? "sentence" : text.empty() ? "image" : "image and sentence";
  turn.push_back(PromptPart::of_text(fmt::format("{}\nSummarize above {} in one word: ", text, what)));
  return turn;
}

std::vector<PromptPart> bare_turn(std::string_view text, bool has_image) {
  TRIREME_CHECK(has_image || !text.empty(), ConfigError, "bare_turn",
                "a text or an image must be given; got neither; drop the record.");
  std::vector<PromptPart> parts;
  if (has_image) parts.push_back(PromptPart::image());
  if (!text.empty()) parts.push_back(PromptPart::of_text(std::string(text)));
  return parts;
}

ChatEncoder::ChatEncoder(const Tokenizer& tokenizer, int64_t image_token_id, std::string system_prompt)
    : tokenizer_(tokenizer), image_token_id_(image_token_id), system_prompt_(std::move(system_prompt)) {
  refuse_reserved_tokens(system_prompt_, "system_prompt");
  for (std::string_view token : {"<|im_start|>", "<|im_end|>"}) {
    TRIREME_CHECK(tokenizer_.token_to_id(token).has_value(), DataError, "tokenizer",
                  "the vocabulary must have the chat token {}; got none; use the tokenizer.json of a Qwen chat model.",
                  token);
  }
  if (image_token_id_ < 0) return;
  const auto pad = tokenizer_.token_to_id(kImagePad);
  TRIREME_CHECK(pad == image_token_id_, DataError, "tokenizer",
                "{} must have config.json's image_token_id {}; got {}; use the tokenizer.json of the same checkpoint.",
                kImagePad, image_token_id_, pad ? fmt::to_string(*pad) : "no such token");
}

std::vector<int64_t> ChatEncoder::encode(std::span<const PromptPart> user_turn, std::span<const int64_t> image_tokens,
                                         std::string_view where) const {
  check_parts(user_turn, image_tokens, where);
  return expanded(render_chat(user_turn, system_prompt_), image_tokens);
}

std::vector<int64_t> ChatEncoder::encode_bare(std::span<const PromptPart> parts, std::span<const int64_t> image_tokens,
                                              std::string_view where) const {
  check_parts(parts, image_tokens, where);
  return expanded(render_bare(parts), image_tokens);
}

std::vector<int64_t> ChatEncoder::expanded(const std::string& prompt, std::span<const int64_t> image_tokens) const {
  const std::vector<int64_t> compact = tokenizer_.encode(prompt);
  if (image_tokens.empty()) return compact;

  std::vector<int64_t> ids;
  std::size_t next_image = 0;
  for (int64_t id : compact) {
    const bool pad = id == image_token_id_;
    ids.insert(ids.end(), pad ? static_cast<std::size_t>(image_tokens[next_image]) : 1, id);
    if (pad) ++next_image;
  }
  TRIREME_ASSERT(next_image == image_tokens.size(), "{} pads for {} images", next_image, image_tokens.size());
  return ids;
}

}  // namespace trireme
