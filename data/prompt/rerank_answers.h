#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace trireme {

/// The tokens that LamRA-Rank (arXiv:2412.01720, sec. 3.4) answers with, in the place where they are read and trained:
///   <|im_start|>assistant\nYes<|im_end|>\n      ..No..      ..Ans: (k)..
/// Yes, No and each number k must be one token there: their scores are compared, and k is found in one place.
/// Immutable, safe to use from several threads.
class RerankAnswers {
 public:
  /// As many candidates as a list may have: their numbers have one digit.
  static constexpr int64_t kMaxListLength = 9;

  /// throws DataError naming the token: Yes, No or a digit that the tokenizer splits or joins with what is around it.
  explicit RerankAnswers(const Tokenizer& tokenizer);

  int64_t yes() const noexcept { return yes_; }
  int64_t no() const noexcept { return no_; }
  /// Of the candidate that stands at `number` in the list, 1 .. kMaxListLength.
  int64_t digit(int64_t number) const;
  std::span<const int64_t> digits() const noexcept { return digits_; }  ///< those of 1 .. kMaxListLength

  /// <|im_start|>assistant\n: what every prompt ends with.
  std::span<const int64_t> open_turn() const noexcept { return open_turn_; }
  /// "Ans: (": appended to a listwise prompt, its last position scores the numbers.
  std::span<const int64_t> before_digit() const noexcept { return before_digit_; }

  /// What follows the open turn to the sequence's end: the answer and <|im_end|>\n.
  std::vector<int64_t> pointwise(bool relevant) const;
  std::vector<int64_t> listwise(int64_t number) const;

 private:
  int64_t yes_ = 0, no_ = 0;
  std::vector<int64_t> digits_, open_turn_, before_digit_, after_digit_, end_of_turn_;
};

}  // namespace trireme
