#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/report.h"
#include "core/io/fingerprint.h"
#include "retrieval/rerank/fusion.h"
#include "retrieval/rerank/rank_scores.h"

namespace trireme {

class FieldList;

/// [fuse] The weight of a reranker, by row of a benchmark where rows want their own: LamRA's released code weighs
/// MSCOCO otherwise than the rest (experiments/lamra/fusion_released.yaml).
struct FusionConfig {
  FusionForm form = FusionForm::kAlpha;
  double value = 0.5;
  std::map<std::string, double> by_row;

  void describe(FieldList& v);
  void check(Problems& problems) const;
  /// Rows without a value of their own have the common one.
  Fusion of_row(std::string_view row) const;
  bool operator==(const FusionConfig&) const = default;
};

/// How one value of a fitted table was found.
struct FittedRow {
  std::string mode, row;
  double alpha = 1, value = 0, retriever_value = 0;
  int64_t queries = 0;

  void describe(FieldList& v);
  bool operator==(const FittedRow&) const = default;
};

/// fusion.yaml: weights found on queries that nobody reports on, kept beside the reranker that they are for.
struct FusionFile {
  std::string format = "trireme_fusion";
  int64_t format_version = 2;
  std::map<std::string, FusionConfig> modes;
  std::string metric, fitted_on, model_sha256, adapter_sha256, retriever_model_sha256, retriever_adapter_sha256;
  std::vector<FittedRow> fitted;
  std::map<std::string, std::string> fingerprint, retriever_fingerprint;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

inline constexpr const char* kFusionFileName = "fusion.yaml";

/// A warning when weights are used on scores of other models than they were fitted for, naming the parts that differ;
/// "" when they are not, or when the file does not say, as one written by hand.
std::string fitted_for_others(const FusionFile& fusion, const std::filesystem::path& file, const Fingerprint& reranker,
                              const Fingerprint& retriever);
/// The same weights for another form of the reranker's weights (merged, or beside another copy of the base).
FusionFile for_another_form(FusionFile fusion);

/// The weights of a mode. throws DataError: no such file. ConfigError: all that is wrong in it; no weights of the mode.
FusionConfig weights_of_mode(const FusionFile& fusion, const std::filesystem::path& file, RerankModes mode);
FusionConfig read_fusion(const std::filesystem::path& file, RerankModes mode);
FusionFile read_fusion_file(const std::filesystem::path& file);
/// Replaced whole or not at all.
void write_fusion_file(const std::filesystem::path& file, const FusionFile& content);

}  // namespace trireme
