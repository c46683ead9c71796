#pragma once

#include <cstdint>
#include <functional>

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "evaluation/eval_set.h"
#include "evaluation/rerank_config.h"
#include "retrieval/rerank/fusion.h"
#include "retrieval/rerank/rerank_lists.h"
#include "retrieval/search/search.h"

namespace trireme {

/// What one search found, and what the reranker said of it.
struct RerankedSearch {
  const EvalSearch* search = nullptr;
  Neighbours found;
  RankScores scores;  ///< pointwise to config.depth, listwise to config.listwise_depth, or the list's end
};

/// Reranks the searches of an evaluation. Borrows all that it is given.
class SearchReranker {
 public:
  /// Candidates of this rank that are done, in all searches so far.
  using Progress = std::function<void(int64_t candidates)>;
  SearchReranker(const EvalRerankConfig& config, ScoreBatch score, Communicator& communicator, Progress progress);

  /// Scores the heads of one search's lists. collective: every rank enters, with the same lists, and gets the same.
  RerankedSearch score(const EvalSet& set, const EvalSearch& search, const Neighbours& found);
  /// How listwise answers depend on the order of what was found. collective, likewise.
  PositionBias position_bias(const EvalSet& set, const RerankedSearch& reranked);

  const PromptCounts& counts() const { return counts_; }  ///< of all ranks
  int64_t unread_answers() const { return unread_answers_; }
  int64_t candidates() const { return candidates_; }  ///< scored, of all ranks
  double score_s() const { return score_s_; }

 private:
  torch::Tensor scores_of(const EvalSet& set, const EvalSearch& search, const Neighbours& found, RerankModes mode,
                          int64_t depth);

  const EvalRerankConfig& config_;
  ScoreBatch score_;
  Communicator& communicator_;
  Progress progress_;
  PromptCounts counts_;
  int64_t unread_answers_ = 0, candidates_ = 0, shown_ = 0;
  double score_s_ = 0;
};

/// The lists in the order of the fused scores.
Neighbours fused(const EvalSet& set, const RerankedSearch& reranked, RerankModes mode, const Fusion& fusion);

}  // namespace trireme
