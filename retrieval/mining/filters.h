#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/report.h"
#include "data/sources/hard_negatives_file.h"
#include "retrieval/mining/pool_facts.h"

namespace trireme {

class FieldList;

/// Which of several positives the margins are measured from.
enum class MarginFrom { kBestPositive, kWorstPositive };
constexpr auto choice_names(MarginFrom) {
  return std::to_array<std::pair<MarginFrom, std::string_view>>(
      {{MarginFrom::kBestPositive, "best_gold"}, {MarginFrom::kWorstPositive, "worst_gold"}});
}

/// What becomes of a query whose list the filters empty.
enum class OnEmpty { kDropQuery, kKeepUnfiltered, kFail };
constexpr auto choice_names(OnEmpty) {
  return std::to_array<std::pair<OnEmpty, std::string_view>>(
      {{OnEmpty::kDropQuery, "drop_query"}, {OnEmpty::kKeepUnfiltered, "keep_unfiltered"}, {OnEmpty::kFail, "fail"}});
}

/// [filters] Documents among a query's neighbours that are likely to be right for it, though nobody said so, make poor
/// negatives. Margins: "NV-Retriever: Improving text embedding models with effective hard-negative mining",
/// arXiv:2407.15831, sec. 3 (TopK-MarginPos, TopK-PercPos). By default nothing is dropped.
struct FilterConfig {
  int64_t skip_ranks = 0;
  std::optional<int64_t> last_rank;
  std::optional<double> absolute_margin, relative_margin;
  MarginFrom margin_from = MarginFrom::kBestPositive;
  PictureComparison duplicate_pictures = PictureComparison::kNone;
  int64_t dhash_bits = 4;
  bool same_concept = false;
  std::vector<std::filesystem::path> known_positives;
  std::optional<int64_t> balance;
  OnEmpty on_empty = OnEmpty::kDropQuery;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// One query's neighbours and what is known of the query. Rows are the pool's.
struct JudgedList {
  std::span<const int64_t> rows;  ///< best first
  std::span<const float> scores;
  std::span<const int64_t> positives;  ///< at least one, in any order
  std::span<const float> positive_scores;
  std::span<const int64_t> known_positives = {};
  int64_t concept_id = 0;  ///< 0 = none
};

enum class FilterVerdict : uint8_t {
  kKept,
  kPositive,  ///< whatever the filters say
  kRankWindow,
  kAbsoluteMargin,
  kRelativeMargin,
  kNearDuplicate,
  kKnownPositive,
};

/// Of each document of the list: kept, or the first filter, in the order of FilterVerdict, that drops it.
/// facts: of the pool; with hashes of all pictures of the list and of its positives where the filters compare them.
std::vector<FilterVerdict> judge(const JudgedList& list, const FilterConfig& filters, const PoolFacts& facts);

/// One more for the filter that drops a document; kKept and kPositive count nothing.
void count(FilterVerdict verdict, MiningCounts& counts);

}  // namespace trireme
