#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/field_count.h"
#include "core/config/report.h"
#include "retrieval/rerank/checkpoint_reranker.h"
#include "retrieval/rerank/fusion_config.h"

namespace trireme {

/// [rerank.fit] Weights found on queries that are not reported.
struct FusionFitConfig {
  std::string split = "val";
  std::string metric = "recall@1";
  int64_t steps = 20;
  bool by_row = true;
  std::optional<std::filesystem::path> out;

  template <class V>
  void describe(V& v) {
    v.field("split", split, "The benchmark's queries that weights are fitted on.").one_of({"val", "test"});
    v.field("metric", metric, "What is made largest: recall@k, mrr, ndcg@k, map.");
    v.field("steps", steps, "Alphas tried: 1, (steps - 1) / steps, .., 0.").between(1, 1000);
    v.field("by_row", by_row, "A weight for each row of the benchmark; else one for all.");
    v.field("out", out, "File for the weights; default: fusion.yaml in the evaluation's folder.").no_effect_on_values();
  }
};
static_assert(field_count<FusionFitConfig>() == 5, "describe() must list every field");

/// [rerank] Columns beside the retriever's own: its lists, reranked and fused.
struct EvalRerankConfig {
  RerankerConfig reranker;
  std::vector<RerankModes> modes = {RerankModes::kPointwise, RerankModes::kListwise};
  int64_t depth = 50;
  int64_t listwise_depth = 5;
  FusionConfig fuse;
  std::optional<std::filesystem::path> fuse_file;
  std::optional<FusionFitConfig> fit;
  bool position_bias = false;
  int64_t position_bias_queries = 50;
  std::optional<std::filesystem::path> runs;

  template <class V>
  void describe(V& v) {
    v.field("reranker", reranker, "Which weights rerank, and how they are asked.");
    v.field("modes", modes, "One column each. both: the mean of both scores, as deep as both are.").non_empty();
    v.field("depth", depth, "Results of each query that are scored one by one; fewer where there are fewer.")
        .at_least(1);
    v.field("listwise_depth", listwise_depth, "Results of each query that are put in order together.").at_least(1);
    v.field("fuse", fuse, "Weights, where they are neither read nor fitted.");
    v.field("fuse_file", fuse_file, "A fusion.yaml with the weights.").no_effect_on_values();
    v.field("fit", fit, "Fit the weights first.");
    v.field("position_bias", position_bias,
            "Ask for every order of the listwise candidates, and tell which places are picked.");
    v.field("position_bias_queries", position_bias_queries, "Queries of each task that are asked so.").at_least(1);
    v.field("runs", runs, "Folder that keeps the reranked lists, a run file for each task and mode.")
        .no_effect_on_values();
  }
  void check(Problems& problems) const;
  bool asks(RerankModes mode) const;
};
static_assert(field_count<EvalRerankConfig>() == 10, "describe() must list every field");

}  // namespace trireme
