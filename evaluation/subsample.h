#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "evaluation/eval_set.h"

namespace trireme {

/// The candidates that stay beside those relevant to a query that stays: evenly spaced, so that the pool's order does
/// not matter, up to subset.max_candidates in all; queries likewise. A pure function of files and subset.
/// files, searches: of an EvalSet; rows in them are numbered anew.
void subsample(std::vector<std::unique_ptr<EvalFile>>& files, std::vector<EvalSearch>& searches,
               const EvalSubset& subset);

/// EvalSet::leave_out().
void leave_out(std::vector<std::unique_ptr<EvalFile>>& files, std::vector<EvalSearch>& searches,
               std::vector<std::vector<int64_t>> skipped);

}  // namespace trireme
