#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "data/sources/records.h"
#include "retrieval/rerank/position_bias.h"
#include "retrieval/rerank/rank_scores.h"
#include "retrieval/rerank/scorer.h"

namespace trireme {

/// The heads of ranked lists, as rows of the files that their records are in.
struct ListHeads {
  const RecordFile& queries;  ///< texts under their instructions
  const RecordFile& candidates;
  std::vector<int64_t> query_rows;  ///< [Q]
  torch::Tensor candidate_rows;     ///< [Q, D] int64, in the retriever's order; -1 behind the end of a shorter list
  int64_t size() const { return std::ssize(query_rows); }
  int64_t depth() const { return candidate_rows.size(1); }
  int64_t length(int64_t query) const;  ///< of one list, at most D
  int64_t documents() const;            ///< of all lists
};

/// RerankScorer::score.
using ScoreBatch = std::function<RerankResult(std::span<const RerankQuery> queries, RerankModes modes)>;

struct ScoredHeads {
  RankScores scores;           ///< [Q, D] each
  PromptCounts counts;         ///< of all ranks
  int64_t unread_answers = 0;  ///< listwise answers that could not be read, of all ranks
};

/// Scores every list. Block b, the queries from b * block_queries on, is scored at once, by rank b % R: a score depends
/// on the lists and block_queries alone, so every rank gets the same tensors, whatever their number.
/// progress   called with the candidates of this rank that are done, and that it has.
/// collective: every rank enters; two or three all-reduces at the end. throws what `score` throws, and PeerFailed soon
///            after another rank failed. Memory: 4 D Q bytes a mode, and the records of a block.
ScoredHeads score_lists(const ListHeads& lists, RerankModes modes, int64_t block_queries, const ScoreBatch& score,
                        Communicator& communicator, const std::function<void(int64_t done, int64_t of)>& progress = {});

/// The listwise picks among the first `candidates` of up to `queries` of the lists that have so many, evenly spaced, in
/// every order that measure_position_bias() asks for. candidates: at most the depth of the lists and the scorer's
/// window.
/// collective, as score_lists().
PositionBias listwise_position_bias(const ListHeads& lists, int64_t queries, int64_t candidates,
                                    const ScoreBatch& score, Communicator& communicator);

}  // namespace trireme
