#include "retrieval/rerank/scorer_config.h"

#include "core/config/field_list.h"

namespace trireme {

void RerankScorerConfig::describe(FieldList& v) {
  v.field("share_prefix", share_prefix, "Compute what the prompts of a query begin with once, not per candidate.")
      .no_effect_on_values();
  v.field("batch_tokens", batch_tokens, "Tokens computed at a time; bounds memory.").at_least(1).no_effect_on_values();
  v.field("listwise_answer", listwise_answer, "Softmax over the numbers, or the greedy answer as LamRA parses it.");
  v.field("window", window, "Candidates of one listwise prompt; longer lists are ranked window by window.")
      .between(1, RerankAnswers::kMaxListLength);
  v.field("window_step", window_step, "Places between one window and the next, from the end of the list up.")
      .at_least(1);
}
static_assert(field_count<RerankScorerConfig>() == 5, "describe() must list every field");

}  // namespace trireme
