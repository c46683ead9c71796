#include "data/prompt/rerank_answers.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "core/error.h"

namespace trireme {
namespace {

constexpr std::string_view kOpenTurn = "<|im_start|>assistant\n";
constexpr std::string_view kEndOfTurn = "<|im_end|>\n";

std::vector<int64_t> joined(std::span<const int64_t> a, std::span<const int64_t> b, std::span<const int64_t> c) {
  std::vector<int64_t> out(a.begin(), a.end());
  out.insert(out.end(), b.begin(), b.end());
  out.insert(out.end(), c.begin(), c.end());
  return out;
}

/// Refuses a word that is not a token of its own between `before` and `after`.
int64_t single_token(const Tokenizer& tokenizer, std::string_view word, std::string_view before,
                     std::string_view after) {
  const auto id = tokenizer.token_to_id(word);
  const std::string text = fmt::format("{}{}{}", before, word, after);
  const std::vector<int64_t> ids = tokenizer.encode(text);
  const std::vector<int64_t> wanted =
      id ? joined(tokenizer.encode(before), std::span(&*id, 1), tokenizer.encode(after)) : std::vector<int64_t>();
  TRIREME_CHECK(ids == wanted, DataError, "tokenizer",
                "\"{}\" must be one token in the answer {:?}; got the tokens {}; use the tokenizer.json of a Qwen chat "
                "model, or one trained with that word.",
                word, text, fmt::join(ids, ", "));
  return *id;
}

}  // namespace

RerankAnswers::RerankAnswers(const Tokenizer& tokenizer)
    : open_turn_(tokenizer.encode(kOpenTurn)), end_of_turn_(tokenizer.encode(kEndOfTurn)) {
  yes_ = single_token(tokenizer, "Yes", kOpenTurn, kEndOfTurn);
  no_ = single_token(tokenizer, "No", kOpenTurn, kEndOfTurn);
  const std::string before = fmt::format("{}Ans: (", kOpenTurn), after = fmt::format("){}", kEndOfTurn);
  for (int64_t number = 1; number <= kMaxListLength; ++number)
    digits_.push_back(single_token(tokenizer, fmt::to_string(number), before, after));
  before_digit_ = tokenizer.encode(before);
  TRIREME_CHECK(before_digit_.size() > open_turn_.size() &&
                    std::equal(open_turn_.begin(), open_turn_.end(), before_digit_.begin()),
                DataError, "tokenizer",
                "the open assistant turn must be tokens of its own before \"Ans: (\"; got tokens that reach over its "
                "end; use the tokenizer.json of a Qwen chat model.");
  before_digit_.erase(before_digit_.begin(), before_digit_.begin() + std::ssize(open_turn_));
  after_digit_ = tokenizer.encode(after);
}

int64_t RerankAnswers::digit(int64_t number) const {
  TRIREME_ASSERT(number >= 1 && number <= kMaxListLength, "candidate {}", number);
  return digits_[static_cast<std::size_t>(number - 1)];
}

std::vector<int64_t> RerankAnswers::pointwise(bool relevant) const {
  return joined(std::span(relevant ? &yes_ : &no_, 1), end_of_turn_, {});
}

std::vector<int64_t> RerankAnswers::listwise(int64_t number) const {
  const int64_t token = digit(number);
  return joined(before_digit_, std::span(&token, 1), after_digit_);
}

}  // namespace trireme
