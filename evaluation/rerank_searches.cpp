#include "evaluation/rerank_searches.h"

#include <chrono>

#include "core/elapsed.h"

namespace trireme {
namespace {

ListHeads heads_of(const EvalSet& set, const EvalSearch& search, const Neighbours& found, int64_t depth) {
  const EvalFile &queries = *set.files()[search.queries], &pool = *set.files()[search.pool];
  ListHeads heads{queries.records, pool.records, {}, found.rows.narrow(1, 0, depth).contiguous()};
  for (int64_t row = 0; row < found.rows.size(0); ++row) heads.query_rows.push_back(row);
  return heads;
}

}  // namespace

SearchReranker::SearchReranker(const EvalRerankConfig& config, ScoreBatch score, Communicator& communicator,
                               Progress progress)
    : config_(config), score_(std::move(score)), communicator_(communicator), progress_(std::move(progress)) {}

torch::Tensor SearchReranker::scores_of(const EvalSet& set, const EvalSearch& search, const Neighbours& found,
                                        RerankModes mode, int64_t depth) {
  const auto begin = std::chrono::steady_clock::now();
  const ListHeads heads = heads_of(set, search, found, std::min(depth, found.rows.size(1)));
  const int64_t before = shown_;
  ScoredHeads scored =
      score_lists(heads, mode, config_.reranker.block_queries, score_, communicator_, [&](int64_t done, int64_t) {
        shown_ = before + done;
        if (progress_) progress_(shown_);
      });
  counts_ += scored.counts;
  unread_answers_ += scored.unread_answers;
  candidates_ += heads.documents();
  score_s_ += seconds_since(begin);
  return mode == RerankModes::kPointwise ? scored.scores.pointwise : scored.scores.listwise;
}

RerankedSearch SearchReranker::score(const EvalSet& set, const EvalSearch& search, const Neighbours& found) {
  RerankedSearch reranked{&search, found, {}};
  const auto any = [&](bool (*asked)(RerankModes)) {
    return std::any_of(config_.modes.begin(), config_.modes.end(), asked);
  };
  if (any([](RerankModes mode) { return asks_pointwise(mode); }))
    reranked.scores.pointwise = scores_of(set, search, found, RerankModes::kPointwise, config_.depth);
  if (any([](RerankModes mode) { return asks_listwise(mode); }))
    reranked.scores.listwise = scores_of(set, search, found, RerankModes::kListwise, config_.listwise_depth);
  return reranked;
}

PositionBias SearchReranker::position_bias(const EvalSet& set, const RerankedSearch& reranked) {
  int64_t longest = 1;
  for (int64_t query = 0; query < reranked.found.rows.size(0); ++query)
    longest = std::max(longest, list_length(reranked.found.scores, query));
  const int64_t candidates = std::min(config_.listwise_depth, longest);
  const ListHeads heads = heads_of(set, *reranked.search, reranked.found, candidates);
  return listwise_position_bias(heads, config_.position_bias_queries, candidates, score_, communicator_);
}

Neighbours fused(const EvalSet& set, const RerankedSearch& reranked, RerankModes mode, const Fusion& fusion) {
  const EvalFile& pool = *set.files()[reranked.search->pool];
  const auto rows = reranked.found.rows.accessor<int64_t, 2>();
  const IdAt id = [&](int64_t query, int64_t place) { return pool.ids[rows[query][place]]; };
  FusedLists lists = fuse(reranked.found.scores, rank_score(reranked.scores, mode), id, fusion);
  return {reranked.found.rows.gather(1, lists.order), std::move(lists.scores)};
}

}  // namespace trireme
