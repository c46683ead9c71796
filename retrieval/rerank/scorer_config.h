#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "answering/answerer.h"
#include "data/prompt/rerank_answers.h"

namespace trireme {

class FieldList;

/// How the answer to a listwise prompt is read.
enum class ListwiseAnswer {
  kDigits,    ///< the numbers' scores behind "Ans: (", a softmax over those of the list: always an answer
  kReleased,  ///< the greedy answer, which must be exactly "Ans: (k)"; any other leaves the list as it was
};
constexpr auto choice_names(ListwiseAnswer) {
  return std::to_array<std::pair<ListwiseAnswer, std::string_view>>(
      {{ListwiseAnswer::kDigits, "digits"}, {ListwiseAnswer::kReleased, "released"}});
}

struct RerankScorerConfig {
  bool share_prefix = true;
  int64_t batch_tokens = 8192;
  ListwiseAnswer listwise_answer = ListwiseAnswer::kDigits;
  int64_t window = 5, window_step = 2;

  AnswererOptions answerer_options() const { return {.share_prefix = share_prefix, .batch_tokens = batch_tokens}; }
  void describe(FieldList& v);
};

}  // namespace trireme
