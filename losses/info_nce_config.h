#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/config/field_count.h"
#include "core/config/report.h"

namespace trireme {

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

  template <class V>
  void describe(V& v) {
    v.field("direction", direction, "Which side is classified among the other; symmetric = the mean of both.");
    v.field("temperature", temperature, "Cosines are divided by it; where it starts when learned.").positive();
    v.field("learn_temperature", learn_temperature, "Train log(1 / temperature).");
    v.field("min_temperature", min_temperature, "A learned temperature does not fall below.").positive();
    v.field("grad_scale", grad_scale, "exact = the global batch's gradient; released = 1 / ranks of it, as LamRA.");
    v.field("compute", compute, "Hold all scores of this rank's rows, or tiles of them.");
    v.field("tile_rows", tile_rows, "Rows and columns of a tile.").at_least(1).no_effect_on_values();
    v.field("exclude", exclude, "Pairs that are no negatives: why.");
    v.field("exclude_margin", exclude_margin, "No negatives: cosine above the positive's plus this; null = all stay.");
    v.field("hardness", hardness, "Added to a negative's logit, times its cosine, without gradient.").at_least(0);
    v.field("matryoshka_dims", matryoshka_dims, "The loss is summed over these prefixes of the embedding; empty = all.")
        .positive();
    v.field("matryoshka_weights", matryoshka_weights, "One a prefix; empty = 1 each.").positive();
  }
  void check(Problems& problems) const;
};
static_assert(field_count<InfoNceConfig>() == 12, "describe() must list every field");

}  // namespace trireme
