#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/field_count.h"
#include "core/config/report.h"
#include "retrieval/rerank/fusion.h"
#include "retrieval/rerank/rank_scores.h"

namespace trireme {

/// [fuse] The weight of a reranker, by row of a benchmark where rows want their own: LamRA's released code weighs
/// MSCOCO otherwise than the rest (experiments/lamra/fusion_released.yaml).
struct FusionConfig {
  FusionForm form = FusionForm::kAlpha;
  double value = 0.5;
  std::map<std::string, double> by_row;

  template <class V>
  void describe(V& v) {
    v.field("form", form, "alpha: alpha * S_ret + (1 - alpha) * S_rank; weight: S_ret + value * S_rank.");
    v.field("value", value, "alpha, or the weight.").at_least(0);
    v.field("by_row", by_row, "The value of rows that have their own, by the row's id.").at_least(0);
  }
  void check(Problems& problems) const;
  /// Rows without a value of their own have the common one.
  Fusion of_row(std::string_view row) const;
  bool operator==(const FusionConfig&) const = default;
};
static_assert(field_count<FusionConfig>() == 3, "describe() must list every field");

/// How one value of a fitted table was found.
struct FittedRow {
  std::string mode, row;
  double alpha = 1, value = 0, retriever_value = 0;
  int64_t queries = 0;

  template <class V>
  void describe(V& v) {
    v.field("mode", mode, "pointwise, listwise or both.").required();
    v.field("row", row, "Row of the benchmark; all: over all rows.").required();
    v.field("alpha", alpha, "What was found.").between(0, 1);
    v.field("value", value, "The metric there, a fraction.");
    v.field("retriever_value", retriever_value, "The metric of the retriever alone.");
    v.field("queries", queries, "What it was measured on.").at_least(0);
  }
  bool operator==(const FittedRow&) const = default;
};
static_assert(field_count<FittedRow>() == 6, "describe() must list every field");

/// fusion.yaml: weights found on queries that nobody reports on, kept beside the reranker that they are for.
struct FusionFile {
  std::string format = "trireme_fusion";
  int64_t format_version = 1;
  std::map<std::string, FusionConfig> modes;
  std::string metric, fitted_on, model_sha256, adapter_sha256, retriever_model_sha256, retriever_adapter_sha256;
  std::vector<FittedRow> fitted;

  template <class V>
  void describe(V& v) {
    v.field("format", format, "Kind of file.").one_of({"trireme_fusion"});
    v.field("format_version", format_version, "Version of the format.").one_of({1});
    v.field("modes", modes, "Weights by mode: pointwise, listwise, both.").required();
    v.field("metric", metric, "What was made largest; empty: the values were not fitted.");
    v.field("fitted_on", fitted_on, "Benchmark and split.");
    v.field("model_sha256", model_sha256, "Of the reranker's weights.");
    v.field("adapter_sha256", adapter_sha256, "Of its adapter.");
    v.field("retriever_model_sha256", retriever_model_sha256, "Of the retriever's weights.");
    v.field("retriever_adapter_sha256", retriever_adapter_sha256, "Of its adapter.");
    v.field("fitted", fitted, "How the values were found.");
  }
  void check(Problems& problems) const;
};
static_assert(field_count<FusionFile>() == 10, "describe() must list every field");

inline constexpr const char* kFusionFileName = "fusion.yaml";

/// The weights of a mode. throws DataError: no such file. ConfigError: all that is wrong in it; no weights of the mode.
FusionConfig read_fusion(const std::filesystem::path& file, RerankModes mode);
FusionFile read_fusion_file(const std::filesystem::path& file);
/// Replaced whole or not at all.
void write_fusion_file(const std::filesystem::path& file, const FusionFile& content);

}  // namespace trireme
