#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "evaluation/benchmark.h"
#include "evaluation/eval_set.h"
#include "evaluation/evaluate.h"
#include "evaluation/examples.h"
#include "evaluation/rerank_config.h"
#include "retrieval/embed.h"

namespace trireme {

class FieldList;

/// What `trireme eval` is asked to do.
struct EvalConfig {
  std::filesystem::path out;
  std::string label;
  RecordModelConfig embed;
  BenchmarkConfig benchmark;
  EvalQueryConfig queries;
  EvalMetricConfig metrics;
  GalleryConfig gallery;
  std::optional<std::filesystem::path> embeddings, floors, published;
  StoreDtype store = StoreDtype::kFloat32;
  OnDataError on_error = OnDataError::kStop;
  std::optional<EvalRerankConfig> rerank;

  void describe(FieldList& v);
  void check(Problems& problems) const;
  void fill_unset() {
    if (label.empty()) label = (out.has_filename() ? out : out.parent_path()).filename().string();
  }
};

}  // namespace trireme
