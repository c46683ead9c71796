#include "data/prompt/rerank_prompt.h"

#include <algorithm>

#include "core/error.h"
#include "data/prompt/cut_text.h"

namespace trireme {
namespace {

/// The blanks that the released source left in the middle of its sentences.
std::string gap(RerankSpacing spacing, int64_t in_master) {
  return std::string(static_cast<std::size_t>(spacing == RerankSpacing::kMaster ? in_master : 1), ' ');
}

void append_item(std::vector<PromptPart>& turn, const RerankItem& item) {
  std::ranges::move(bare_turn(item.text, item.image_tokens.has_value()), std::back_inserter(turn));
}

std::vector<int64_t> image_tokens_of(const RerankItem& query, std::span<const RerankItem> candidates) {
  std::vector<int64_t> out;
  if (query.image_tokens) out.push_back(*query.image_tokens);
  for (const RerankItem& candidate : candidates) {
    if (candidate.image_tokens) out.push_back(*candidate.image_tokens);
  }
  return out;
}

}  // namespace

std::vector<PromptPart> pointwise_turn(const RerankItem& query, const RerankItem& candidate, RerankSpacing spacing) {
  constexpr int64_t kGapInMaster = 24;
  std::vector<PromptPart> turn = {PromptPart::of_text(fmt::format(
      "I will provide you with a query and a candidate. Please evaluate whether the candidate{}meets the requirements "
      "of the query. If it does, respond with 'Yes'; if it doesn't, responed with 'No'.Query:",
      gap(spacing, kGapInMaster)))};
  append_item(turn, query);
  turn.push_back(PromptPart::of_text("Candidate:"));
  append_item(turn, candidate);
  return turn;
}

std::vector<PromptPart> listwise_turn(const RerankItem& query, std::span<const RerankItem> candidates,
                                      RerankSpacing spacing) {
  constexpr int64_t kGapInMaster = 25;
  TRIREME_ASSERT(!candidates.empty() && std::ssize(candidates) <= RerankAnswers::kMaxListLength, "{} candidates",
                 candidates.size());
  std::vector<PromptPart> turn = {PromptPart::of_text(fmt::format(
      "I will provide you with a query followed by multiple candidates in the format: (1) cand1 (2) cand2, etc. Each "
      "candidate is independent of the others.{}Evaluate each candidate against the query, and respond with the number "
      "corresponding to the candidate that best meets the requirements of the query.Query:",
      gap(spacing, kGapInMaster)))};
  append_item(turn, query);
  turn.push_back(PromptPart::of_text("Candidates:"));
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    turn.push_back(PromptPart::of_text(fmt::format("({}) ", i + 1)));
    append_item(turn, candidates[i]);
  }
  return turn;
}

RerankPrompt::RerankPrompt(const Tokenizer& tokenizer, const ChatEncoder& encoder, RerankPromptOptions options)
    : tokenizer_(tokenizer), encoder_(encoder), options_(options), answers_(tokenizer) {}

RerankItem RerankPrompt::cut(const RerankItem& item) const {
  return {cut_text(tokenizer_, item.text, options_.text_tokens), item.image_tokens};
}

RerankTokens RerankPrompt::pointwise(const RerankItem& query, const RerankItem& candidate,
                                     std::string_view where) const {
  return encode(pointwise_turn(cut(query), cut(candidate), options_.spacing),
                image_tokens_of(query, std::span(&candidate, 1)), where);
}

RerankTokens RerankPrompt::listwise(const RerankItem& query, std::span<const RerankItem> candidates,
                                    std::string_view where) const {
  std::vector<RerankItem> kept;
  for (const RerankItem& candidate : candidates) kept.push_back(cut(candidate));
  return encode(listwise_turn(cut(query), kept, options_.spacing), image_tokens_of(query, candidates), where);
}

RerankTokens RerankPrompt::encode(std::span<const PromptPart> turn, std::span<const int64_t> image_tokens,
                                  std::string_view where) const {
  RerankTokens out;
  out.tokens = encoder_.encode(turn, image_tokens, where);
  auto place = out.tokens.begin();
  for (const int64_t count : image_tokens) {
    place = std::find(place, out.tokens.end(), encoder_.image_token_id());
    out.image_begin.push_back(place - out.tokens.begin());
    place += count;
  }
  out.answer_begin = std::ssize(out.tokens);
  out.turn_begin = out.answer_begin - std::ssize(answers_.open_turn());
  return out;
}

RerankTokens answered(RerankTokens prompt, std::span<const int64_t> answer) {
  TRIREME_ASSERT(prompt.answer_begin == std::ssize(prompt.tokens), "a prompt takes one answer");
  prompt.tokens.insert(prompt.tokens.end(), answer.begin(), answer.end());
  return prompt;
}

}  // namespace trireme
