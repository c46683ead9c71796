#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/prompt/chat.h"
#include "data/prompt/rerank_answers.h"

namespace trireme {

/// Of which of LamRA's branches the wording is. A source line continued there left its indentation in the text.
enum class RerankSpacing {
  kMaster,       ///< 24 spaces in the pointwise prompt, 25 in the listwise one: the Qwen2-VL checkpoints
  kSingleSpace,  ///< one: the Qwen2.5-VL checkpoints
};
constexpr auto choice_names(RerankSpacing) {
  return std::to_array<std::pair<RerankSpacing, std::string_view>>(
      {{RerankSpacing::kMaster, "master"}, {RerankSpacing::kSingleSpace, "single_space"}});
}

/// A query (under its instruction) or a candidate: a text, an image, or an image before a text.
struct RerankItem {
  std::string text;
  std::optional<int64_t> image_tokens;  ///< how many tokens its image takes, when there is one
};

/// The user turn that asks whether one candidate meets the query. Source: LamRA (arXiv:2412.01720), sec. 3.4, byte for
/// byte as released, its spelling included.
/// throws ConfigError: an item with neither text nor image.
std::vector<PromptPart> pointwise_turn(const RerankItem& query, const RerankItem& candidate, RerankSpacing spacing);
/// The one that asks which of the candidates meets it best; they are numbered from 1.
/// candidates  1 .. RerankAnswers::kMaxListLength.
std::vector<PromptPart> listwise_turn(const RerankItem& query, std::span<const RerankItem> candidates,
                                      RerankSpacing spacing);

struct RerankPromptOptions {
  RerankSpacing spacing = RerankSpacing::kMaster;
  /// Query and each candidate are cut after so many tokens of text and decoded again: 256 in LamRA's training, not at
  /// all in its scoring.
  std::optional<int64_t> text_tokens;
};

/// A prompt through its open assistant turn, or with an answer appended.
struct RerankTokens {
  std::vector<int64_t> tokens;
  /// Place of each image's first token, the query's image before the candidates'.
  std::vector<int64_t> image_begin;
  int64_t turn_begin = 0;    ///< of the assistant turn's <|im_start|>: what is trained on goes from there to the end
  int64_t answer_begin = 0;  ///< behind <|im_start|>assistant\n: where the answer begins, or would
};

/// Token ids of LamRA-Rank's prompts. The candidate's text may merge with what stands before it ("?Candidate" can be
/// one token), so what two prompts of a query share is their common prefix of ids, not a length known beforehand.
/// Safe to use from several threads.
class RerankPrompt {
 public:
  /// Both outlive the prompt. throws DataError: as RerankAnswers.
  RerankPrompt(const Tokenizer& tokenizer, const ChatEncoder& encoder, RerankPromptOptions options);

  /// where: the query and candidate, for messages. throws DataError: as ChatEncoder::encode().
  RerankTokens pointwise(const RerankItem& query, const RerankItem& candidate, std::string_view where) const;
  RerankTokens listwise(const RerankItem& query, std::span<const RerankItem> candidates, std::string_view where) const;

  const RerankAnswers& answers() const noexcept { return answers_; }

 private:
  RerankItem cut(const RerankItem& item) const;
  RerankTokens encode(std::span<const PromptPart> turn, std::span<const int64_t> image_tokens,
                      std::string_view where) const;

  const Tokenizer& tokenizer_;
  const ChatEncoder& encoder_;
  RerankPromptOptions options_;
  RerankAnswers answers_;
};

/// The prompt with its answer: RerankAnswers::pointwise() or listwise().
RerankTokens answered(RerankTokens prompt, std::span<const int64_t> answer);

}  // namespace trireme
