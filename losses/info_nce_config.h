#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/config/report.h"

namespace trireme {

class FieldList;

enum class ContrastDirection { kQueryToCandidate, kSymmetric };
constexpr auto choice_names(ContrastDirection) {
  return std::to_array<std::pair<ContrastDirection, std::string_view>>(
      {{ContrastDirection::kQueryToCandidate, "query_to_candidate"}, {ContrastDirection::kSymmetric, "symmetric"}});
}

/// What the gradient of the embeddings is multiplied by. exact: 1. released: 1/R, which is what LamRA's code trains
/// with: it gathers without gradient, computes the whole loss on every rank and takes the mean over ranks. Adam hides
/// the factor, clipping by a global norm does not.
enum class GradScale { kExact, kReleased };
constexpr auto choice_names(GradScale) {
  return std::to_array<std::pair<GradScale, std::string_view>>(
      {{GradScale::kExact, "exact"}, {GradScale::kReleased, "released"}});
}

/// gathered: one all-gather, and B x (B_global (1 + N)) scores are held. tiled: the ranks pass their rows round a ring,
/// and tile_rows x tile_rows scores are held. One loss and one gradient; the tiled one computes the scores twice.
enum class ContrastCompute { kGathered, kTiled };
constexpr auto choice_names(ContrastCompute) {
  return std::to_array<std::pair<ContrastCompute, std::string_view>>(
      {{ContrastCompute::kGathered, "gathered"}, {ContrastCompute::kTiled, "tiled"}});
}

/// Why a column is no negative of a row although it is not the row's own positive (PairLabels says what is compared).
enum class PairRelation { kSameCandidate, kSameQuery, kKnownPositive, kSameConcept };
constexpr auto choice_names(PairRelation) {
  return std::to_array<std::pair<PairRelation, std::string_view>>({{PairRelation::kSameCandidate, "same_candidate"},
                                                                   {PairRelation::kSameQuery, "same_query"},
                                                                   {PairRelation::kKnownPositive, "known_positive"},
                                                                   {PairRelation::kSameConcept, "same_concept"}});
}

/// [loss] InfoNCE (losses/info_nce.h). The defaults are LamRA's. Equal on all ranks.
struct InfoNceConfig {
  ContrastDirection direction = ContrastDirection::kQueryToCandidate;
  double temperature = 0.05;
  bool learn_temperature = false;
  double min_temperature = 0.01;
  GradScale grad_scale = GradScale::kExact;
  ContrastCompute compute = ContrastCompute::kGathered;
  int64_t tile_rows = 1024;
  std::vector<PairRelation> exclude = {};
  std::optional<double> exclude_margin = {};
  double hardness = 0;
  std::vector<int64_t> matryoshka_dims = {};
  std::vector<double> matryoshka_weights = {};

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

}  // namespace trireme
