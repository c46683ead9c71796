#pragma once

#include <string>

#include "retrieval/report/results.h"

namespace trireme {

/// The results for a terminal: one table a pool, a line for each search, row and mean, with intervals and the first
/// reference beside the metrics that it has. Lines end in '\n'; about 120 columns with three recalls, MRR and nDCG.
std::string results_text(const EvalResults& results);

}  // namespace trireme
