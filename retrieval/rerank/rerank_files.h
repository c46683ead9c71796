#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/config/field_count.h"
#include "core/dist/communicator.h"
#include "retrieval/rerank/checkpoint_reranker.h"
#include "retrieval/rerank/fusion.h"

namespace trireme {

inline constexpr int64_t kDefaultRerankDepth = 50;

/// What `trireme rerank` reranks, and where to.
struct RerankOptions {
  std::filesystem::path run, out;
  std::optional<std::filesystem::path> queries, candidates, image_root, instructions, trec;
  int64_t prompt_number = 1;
  RerankModes mode = RerankModes::kPointwise;
  std::optional<int64_t> depth;
  std::string fuse = "0.5", row;
  std::string tag = "trireme";

  template <class V>
  void describe(V& v) {
    v.field("run", run, "Run file to rerank. Without --model: one that was reranked, to be fused anew.")
        .required()
        .no_effect_on_values();
    v.field("out", out, "Run file (HDF5) to write; replaced only on success.").required().no_effect_on_values();
    v.field("queries", queries, "jsonl file of the run's queries, as they were embedded.").no_effect_on_values();
    v.field("candidates", candidates, "jsonl file of the corpus that was searched.").no_effect_on_values();
    v.field("image_root", image_root, "Folder that image paths are relative to; needed when a record has an image.")
        .no_effect_on_values();
    v.field("instructions", instructions, "M-BEIR's query_instructions.tsv; needed for M-BEIR queries.")
        .no_effect_on_values();
    v.field("prompt_number", prompt_number, "Which instruction of a query's kind is used, from 1.").at_least(1);
    v.field("mode", mode, "Each candidate alone, several in one prompt, or the mean of both scores.");
    v.field("depth", depth, "Documents of each list that are scored; the rest stays behind them. Default: 50.")
        .at_least(1);
    v.field("fuse", fuse,
            "alpha of alpha * S_ret + (1 - alpha) * S_rank; w=NUMBER for S_ret + w * S_rank; fitted: the fusion.yaml "
            "beside the adapter (or model); or the path of such a file.")
        .no_effect_on_values();
    v.field("row", row, "Row of the benchmark that the run is of, where such a file weighs rows apart.")
        .no_effect_on_values();
    v.field("trec", trec, "The run in TREC's text form too.").no_effect_on_values();
    v.field("tag", tag, "Last column of that form.").no_effect_on_values();
  }
};
static_assert(field_count<RerankOptions>() == 13, "describe() must list every field");

/// All options of the verb. What its hash is taken over changes the scores; fusing has a line of its own in the file.
struct RerankVerbConfig {
  RerankerConfig reranker;
  RerankOptions rerank;

  template <class V>
  void describe(V& v) {
    v.field("reranker", reranker, "Which weights rerank, and how they are asked.");
    v.field("rerank", rerank, "What is reranked, and where to.");
  }
};
static_assert(field_count<RerankVerbConfig>() == 2, "describe() must list every field");

/// What was done. Seconds on the wall clock.
struct RerankReport {
  int64_t queries = 0, depth = 0;
  Fusion fusion;
  RerankCounts counts;         ///< of all ranks; nothing when scores were fused anew
  int64_t unread_answers = 0;  ///< listwise answers that could not be read, of all ranks
  double prepare_s = 0;        ///< checking the inputs, reading weights
  double score_s = 0;
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
