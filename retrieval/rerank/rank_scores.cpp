#include "retrieval/rerank/rank_scores.h"

#include <ATen/TensorOperators.h>

#include "core/error.h"

namespace trireme {

bool RankScores::has(RerankModes modes) const {
  return (!asks_pointwise(modes) || pointwise.defined()) && (!asks_listwise(modes) || listwise.defined());
}

torch::Tensor rank_score(const RankScores& scores, RerankModes modes) {
  TRIREME_ASSERT(scores.has(modes), "no scores of mode {}", static_cast<int>(modes));
  switch (modes) {
    case RerankModes::kPointwise:
      return scores.pointwise;
    case RerankModes::kListwise:
      return scores.listwise;
    case RerankModes::kBoth: {
      const int64_t depth = std::min(scores.pointwise.size(1), scores.listwise.size(1));
      return (scores.pointwise.narrow(1, 0, depth) + scores.listwise.narrow(1, 0, depth)) / 2;
    }
  }
  TRIREME_ASSERT(false, "mode {}", static_cast<int>(modes));
}

}  // namespace trireme
