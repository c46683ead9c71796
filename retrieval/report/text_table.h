#pragma once

#include <span>
#include <string>

#include "retrieval/report/results.h"

namespace trireme {

/// The results for a terminal: one table a pool, a line for each search, row and mean, with intervals and the first
/// reference beside the metrics that it has. Lines end in '\n'; about 120 columns with three recalls, MRR and nDCG.
std::string results_text(const EvalResults& results);

/// Several results of one benchmark side by side: one table a pool, the columns under each of the first two metrics.
/// Rows and tasks are those of the first; what another lacks is a dash. A label that goes on from the first one's is
/// told from its plus sign on.
std::string comparison_text(std::span<const EvalResults> columns);

}  // namespace trireme
