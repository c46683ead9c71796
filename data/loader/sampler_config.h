#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace trireme {

class FieldList;

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

  void describe(FieldList& v);
};

}  // namespace trireme
