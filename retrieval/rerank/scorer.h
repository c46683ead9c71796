#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "answering/answerer.h"
#include "data/prompt/rerank_prompt.h"
#include "data/sources/records.h"
#include "retrieval/rerank/rerank_modes.h"
#include "retrieval/rerank/scorer_config.h"

namespace trireme {

struct RerankQuery {
  Record query;                    ///< its text under the instruction
  std::vector<Record> candidates;  ///< in the retriever's order
};

/// Of one query; vectors run over its candidates, in the order given.
struct RerankScores {
  std::vector<double> pointwise;        ///< softmax(Yes, No)[Yes], 0..1; empty when not asked for
  std::vector<double> listwise;         ///< 0..1, higher is better; empty when not asked for
  std::vector<int64_t> listwise_order;  ///< indices into the candidates, best first
  int64_t unread_answers = 0;  ///< kReleased: lists whose answer was not "Ans: (k)" and which stayed as they were
};

struct RerankResult {
  std::vector<RerankScores> scores;  ///< one for each query
  PromptCounts counts;
};

/// Scores candidates with LamRA-Rank. Source: LamRA (arXiv:2412.01720), sec. 3.4 and 3.5.
///
/// Pointwise: softmax over the raw logits of Yes and No behind the prompt, from one prefill; nothing is generated. A
/// score depends on its query and candidate alone, within 1e-5; to the bit in the tests on a CPU with AVX-512, in
/// bfloat16 too.
/// Listwise: one prompt shows up to `window` candidates; the score is the softmax over the numbers' logits behind
/// "Ans: (". A longer list is ranked as RankGPT does (arXiv:2304.09542, sec. 3.2): the last `window` places are put in
/// order, then those `window_step` places higher, to the top; since probabilities of two windows do not compare, the
/// score is then 1 - place / candidates. kReleased: the candidate answered moves to the top of its window, with score
/// 1 - place / candidates too.
///
/// Sharing: the longest common prefix of the token sequences of a query's prompts (equal ids, and equal images behind
/// image tokens) is computed once. An image is encoded once per call.
class RerankScorer {
 public:
  /// answerer: of config.answerer_options(). prompt outlives the scorer. throws ConfigError: window_step above window.
  RerankScorer(Answerer answerer, const RerankPrompt& prompt, RerankScorerConfig config);

  /// Records no gradient. Several queries are computed together as far as batch_tokens goes; they share images.
  /// A query without candidates gets empty scores.
  /// throws DataError: a record with neither text nor image, an image that cannot be read (each names the record).
  RerankResult score(std::span<const RerankQuery> queries, RerankModes modes) const;

 private:
  Answerer answerer_;
  const RerankPrompt& prompt_;
  RerankScorerConfig config_;
};

}  // namespace trireme
