#pragma once

#include "evaluation/eval_set.h"
#include "retrieval/metrics/metrics.h"
#include "retrieval/search/search.h"

namespace trireme {

/// The lists that a search found, by ids. RunInfo has its candidates alone.
Run run_of(const EvalSet& set, const EvalSearch& search, const Neighbours& found);

/// What was judged for its queries.
Judgements judgements_of(const EvalSet& set, const EvalSearch& search);

}  // namespace trireme
