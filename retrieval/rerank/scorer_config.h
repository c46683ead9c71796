#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "core/config/field_count.h"
#include "data/image/preprocess.h"
#include "data/loader/packer.h"
#include "data/prompt/rerank_answers.h"

namespace trireme {

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

  template <class V>
  void describe(V& v) {
    v.field("share_prefix", share_prefix, "Compute what the prompts of a query begin with once, not per candidate.")
        .no_effect_on_values();
    v.field("batch_tokens", batch_tokens, "Tokens computed at a time; bounds memory.")
        .at_least(1)
        .no_effect_on_values();
    v.field("listwise_answer", listwise_answer, "Softmax over the numbers, or the greedy answer as LamRA parses it.");
    v.field("window", window, "Candidates of one listwise prompt; longer lists are ranked window by window.")
        .between(1, RerankAnswers::kMaxListLength);
    v.field("window_step", window_step, "Places between one window and the next, from the end of the list up.")
        .at_least(1);
  }
};
static_assert(field_count<RerankScorerConfig>() == 5, "describe() must list every field");

/// How pictures and positions reach the model; rope_mode is that of scoring, whatever it was in training.
struct RerankInput {
  std::filesystem::path image_root;
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
  AlphaMode alpha = AlphaMode::kWhite;
  PackOptions pack;
};

}  // namespace trireme
