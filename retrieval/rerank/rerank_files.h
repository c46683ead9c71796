#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/distributed/communicator.h"
#include "retrieval/rerank/checkpoint_reranker.h"
#include "retrieval/rerank/fusion.h"

namespace trireme {

class FieldList;

inline constexpr int64_t kDefaultRerankDepth = 50;

/// What `trireme rerank` reranks, and where to.
struct RerankOptions {
  std::filesystem::path run, out;
  std::optional<std::filesystem::path> queries, candidates, image_root, instructions, trec;
  bool follow_links = false, allow_modality_mismatch = false;
  int64_t prompt_number = 1;
  RerankModes mode = RerankModes::kPointwise;
  std::optional<int64_t> depth;
  std::string fuse = "0.5", row;
  std::string tag = "trireme";

  void describe(FieldList& v);
};

/// All options of the verb. What its hash is taken over changes the scores; fusing has a line of its own in the file.
struct RerankVerbConfig {
  RerankerConfig reranker;
  RerankOptions rerank;

  void describe(FieldList& v);
};

/// What was done. Seconds on the wall clock.
struct RerankReport {
  int64_t queries = 0, depth = 0;
  Fusion fusion;
  PromptCounts counts;         ///< of all ranks; nothing when scores were fused anew
  int64_t unread_answers = 0;  ///< listwise answers that could not be read, of all ranks
  double prepare_s = 0;        ///< checking the inputs, reading weights
  double score_s = 0;
  std::vector<std::string> unused = {};  ///< of checkpoint and adapter, with the reason
  /// Of files that do not belong together: weights fitted for others, other records.
  std::vector<std::string> warnings = {};
};

/// Candidates of this rank that are done, and that it has.
using RerankProgress = std::function<void(int64_t done, int64_t of)>;

/// Reranks the lists of a run file: scores the first `depth` documents of each with LamRA-Rank, fuses, and writes a run
/// that holds both scores as well. Everything about the inputs is checked before weights are read. The file's bytes do
/// not depend on the number of ranks.
/// config_sha256: over the resolved options that change scores.
/// collective: every rank enters; rank 0 writes.
/// throws what its parts throw; ConfigError: a depth above the run's K, files that are needed and not given. DataError:
/// no queries or empty lists; a query or document that the files lack (names it and counts the others). On any throw no
/// output is left behind or replaced.
RerankReport rerank_files(const RerankVerbConfig& config, const std::string& config_sha256, Communicator& communicator,
                          const RerankProgress& progress = {}, c10::Device device = c10::kCPU);

}  // namespace trireme
