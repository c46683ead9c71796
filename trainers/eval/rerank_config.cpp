#include "trainers/eval/rerank_config.h"

#include "core/config/choice.h"

namespace trireme {

void EvalRerankConfig::check(Problems& problems) const {
  if (reranker.model.empty()) problems.add("reranker", "must name a model; got none; set reranker.model");
  if (fuse_file && fit) problems.add("fit", "must not be given with fuse_file; got both; remove one");
  if (position_bias && !asks(RerankModes::kListwise) && !asks(RerankModes::kBoth))
    problems.add("position_bias", "must be measured in a listwise mode; got none in modes; add listwise");
  if (position_bias && listwise_depth > reranker.scorer.window)
    problems.add("position_bias", fmt::format("must be measured on one prompt; got listwise_depth {} above "
                                              "reranker.scorer.window {}; lower it",
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
