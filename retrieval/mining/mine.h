#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>

#include "core/config/config.h"
#include "core/distributed/communicator.h"
#include "data/sources/hard_negatives_file.h"
#include "retrieval/mining/mine_config.h"
#include "retrieval/mining/split_source.h"

namespace trireme {

/// What a job tells while it works.
struct MineEvents {
  /// Phase, what is counted, done and of how many: of this rank.
  std::function<void(std::string_view phase, std::string_view unit, int64_t done, int64_t of)> progress;
  std::function<void(const std::string& text)> notice;  ///< on rank 0: what a user should know
};

/// What was done. Seconds on the wall clock.
struct MineReport {
  MiningPlan plan;
  MiningCounts counts;
  DocumentPrior prior;                            ///< of what is written
  std::vector<DocumentPrior> group_priors;        ///< of each of the plan's groups
  int64_t queries = 0;                            ///< in the file
  int64_t documents = 0, positive_documents = 0;  ///< in its lists; how many of them are positives
  int64_t records = 0, embedded_before = 0;       ///< queries and documents; found in OUT.work
  int64_t blocks = 0, blocks_done_before = 0;     ///< of queries; found in OUT.work
  double prepare_s = 0, embed_s = 0, mine_s = 0;
  std::vector<std::string> unused = {};  ///< of checkpoint and adapter, with the reason
};

/// Mines hard negatives: embeds queries and pool with a retriever, gives each query its nearest documents by exact
/// search, filters them, and writes config.out (data/sources/hard_negatives_file.h). The same bytes for any number of
/// ranks and any block_queries, where embeddings have the same bits (as many threads on every rank).
/// LamRA (arXiv:2412.01720), sec. 3.3: a reranker is trained on the retriever's top 100 of every training query, in the
/// pool of its task.
/// OUT.work/ keeps what a killed job has done: embeddings, and lists block by block. What is there of the same config,
/// data and weights is used again; what is not is named in a notice and mined again. It is removed at the end, unless
/// config.keep_work.
/// Everything about config and data is checked before weights are read; memory does not grow with the queries.
/// device: where this rank's model embeds; the search is on the CPU.
/// collective: every rank enters; rank 0 writes. throws what its parts throw; an old config.out then stays as it was.
MineReport mine(const Resolved<MineConfig>& config, Communicator& communicator, const MineEvents& events,
                c10::Device device = c10::kCPU);

}  // namespace trireme
