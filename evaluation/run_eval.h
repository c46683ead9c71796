#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/distributed/communicator.h"
#include "evaluation/eval_config.h"
#include "evaluation/reranked_columns.h"
#include "retrieval/report/results.h"

namespace trireme {

/// Units done of all that there are, on this rank.
using EvalProgress = std::function<void(const std::string& phase, int64_t done, int64_t of)>;

/// What was done. Seconds on the wall clock.
struct EvalReport {
  std::vector<EvalResults> columns;   ///< the retriever's lists, and reranked ones behind them
  int64_t records = 0;                ///< embedded, of all ranks
  int64_t reused = 0;                 ///< found in the folder of embeddings
  std::vector<std::string> replaced;  ///< files of that folder that were embedded anew, and why
  int64_t missing_positives = 0;      ///< relevant documents that pools lack, over all searches
  int64_t modality_mismatches = 0;    ///< records taken under benchmark.allow_modality_mismatch
  std::vector<SkippedRow> skipped;    ///< under on_error: skip, of all ranks, file by file; row: of that file
  double prepare_s = 0;               ///< checking the inputs, reading weights
  double embed_s = 0, search_s = 0;
  RerankEvalReport rerank;
  std::vector<std::string> unused = {};  ///< of checkpoints and adapters, with the reason
};

/// Evaluates a checkpoint on every task of a benchmark and writes OUT/results.json, OUT/gallery.json and
/// OUT/report.html. Everything about the inputs is checked before weights are read; the three files are replaced on
/// success only. Any number of ranks writes the same results.json.
/// collective: every rank enters; rank 0 writes. throws what its parts throw.
EvalReport run_eval(const Resolved<EvalConfig>& config, Communicator& communicator, const EvalProgress& progress,
                    c10::Device device = c10::kCPU);

}  // namespace trireme
