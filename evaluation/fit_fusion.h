#pragma once

#include <vector>

#include "evaluation/rerank_config.h"
#include "evaluation/rerank_searches.h"
#include "retrieval/rerank/fusion_config.h"

namespace trireme {

/// Weights for every mode out of reranked searches in the tasks' own pools. Of a row, and of all rows that count in the
/// mean: the alpha with the largest mean of the metric, over the row's tasks as the results have it; among equal ones
/// the nearest to the retriever (fit_alpha.h). A row that the searches lack has the common value.
/// throws ConfigError: no such metric. cost: steps + 1 times fusing and scoring the lists.
FusionFile fit_fusion(const EvalSet& set, const std::vector<RerankedSearch>& searches,
                      const std::vector<RerankModes>& modes, const FusionFitConfig& config);

}  // namespace trireme
