#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "retrieval/rerank/rerank_modes.h"

namespace trireme {

/// What a reranker said of the first D documents of every list: [Q, D] float32, undefined where it was not asked; 0
/// behind the end of a shorter list.
struct RankScores {
  torch::Tensor pointwise, listwise;
  bool has(RerankModes modes) const;
};

/// S_rank [Q, D]. kBoth: the mean of both, as deep as both are. throws InternalError: a mode that was not asked for.
torch::Tensor rank_score(const RankScores& scores, RerankModes modes);

}  // namespace trireme
