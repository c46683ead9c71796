#include "evaluation/rerank_config.h"

#include "core/config/choice.h"
#include "core/config/field_list.h"

namespace trireme {

void FusionFitConfig::describe(FieldList& v) {
  v.field("split", split, "The benchmark's queries that weights are fitted on.").one_of({"val", "test"});
  v.field("metric", metric, "What is made largest: recall@k, mrr, ndcg@k, map.");
  v.field("steps", steps, "Alphas tried: 1, (steps - 1) / steps, .., 0.").between(1, 1000);
  v.field("by_row", by_row, "A weight for each row of the benchmark; else one for all.");
  v.field("out", out, "File for the weights; default: fusion.yaml in the evaluation's folder.").no_effect_on_values();
}
static_assert(field_count<FusionFitConfig>() == 5, "describe() must list every field");

void EvalRerankConfig::describe(FieldList& v) {
  v.field("reranker", reranker, "Which weights rerank, and how they are asked.");
  v.field("modes", modes, "One column each. both: the mean of both scores, as deep as both are.").non_empty();
  v.field("depth", depth, "Results of each query that are scored one by one; fewer where there are fewer.").at_least(1);
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
static_assert(field_count<EvalRerankConfig>() == 10, "describe() must list every field");

void EvalRerankConfig::check(Problems& problems) const {
  if (reranker.path.empty()) problems.add("reranker", "must name a model; got none; set rerank.reranker.model");
  if (fuse_file && fit) problems.add("fit", "must not be given with fuse_file; got both; remove one");
  if (position_bias && !asks(RerankModes::kListwise) && !asks(RerankModes::kBoth))
    problems.add("position_bias", "must be measured in a listwise mode; got none in modes; add listwise");
  if (position_bias && listwise_depth > reranker.scorer.window)
    problems.add("position_bias", fmt::format("must be measured on one prompt; got listwise_depth {} above "
                                              "rerank.reranker.scorer.window {}; lower it",
                                              listwise_depth, reranker.scorer.window));
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (std::count(modes.begin(), modes.end(), modes[i]) > 1) {
      problems.add("modes", fmt::format("must differ; got {} twice; remove one", choice_name(modes[i])));
      return;
    }
  }
}

bool EvalRerankConfig::asks(RerankModes mode) const {
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

}  // namespace trireme
