#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/config/field_count.h"

namespace trireme {

enum class BatchFrom {
  kAll,       ///< every batch mixes all sources and groups
  kOneGroup,  ///< every batch is of one group of one source; groups take turns by their weights
};
constexpr auto choice_names(BatchFrom) {
  return std::to_array<std::pair<BatchFrom, std::string_view>>(
      {{BatchFrom::kAll, "all"}, {BatchFrom::kOneGroup, "one_group"}});
}

/// What no two pairs of one global batch may share.
enum class Distinct {
  kNothing,
  kTarget,     ///< the same target
  kPositives,  ///< a known positive of either query, so that no target answers another row's query
  kConcept,    ///< the same concept (PairBatch::concept_id)
};
constexpr auto choice_names(Distinct) {
  return std::to_array<std::pair<Distinct, std::string_view>>({{Distinct::kNothing, "nothing"},
                                                               {Distinct::kTarget, "target"},
                                                               {Distinct::kPositives, "positives"},
                                                               {Distinct::kConcept, "concept"}});
}

/// [data.sampler]
struct SamplerConfig {
  int64_t pairs_global = 64;
  BatchFrom batch_from = BatchFrom::kAll;
  Distinct distinct = Distinct::kNothing;

  template <class V>
  void describe(V& v) {
    v.field("pairs_global", pairs_global, "Pairs in a step's batch, over all ranks; a multiple of their number.")
        .at_least(1);
    v.field("batch_from", batch_from, "Batches of all groups mixed, or each of one group.");
    v.field("distinct", distinct, "What no two pairs of a batch may share.");
  }
};
static_assert(field_count<SamplerConfig>() == 3, "describe() must list every field");

}  // namespace trireme
