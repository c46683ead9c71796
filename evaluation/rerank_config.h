#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/report.h"
#include "retrieval/rerank/checkpoint_reranker.h"
#include "retrieval/rerank/fusion_config.h"

namespace trireme {

class FieldList;

/// [rerank.fit] Weights found on queries that are not reported.
struct FusionFitConfig {
  std::string split = "val";
  std::string metric = "recall@1";
  int64_t steps = 20;
  bool by_row = true;
  std::optional<std::filesystem::path> out;

  void describe(FieldList& v);
};

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

  void describe(FieldList& v);
  void check(Problems& problems) const;
  bool asks(RerankModes mode) const;
};

}  // namespace trireme
