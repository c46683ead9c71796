#include "retrieval/mining/filters.h"

#include <cmath>

#include "core/error.h"

namespace trireme {
namespace {

bool holds(std::span<const int64_t> rows, int64_t row) {
  return std::find(rows.begin(), rows.end(), row) != rows.end();
}

double margin_score(const JudgedList& list, MarginFrom from) {
  const auto [worst, best] = std::minmax_element(list.gold_scores.begin(), list.gold_scores.end());
  return from == MarginFrom::kBestGold ? *best : *worst;
}

bool shares_concept(int64_t row, const JudgedList& list, const PoolFacts& facts) {
  const int64_t concept_id = facts.concept_of(row);
  if (concept_id == 0) return false;
  return concept_id == list.concept_id || std::any_of(list.gold.begin(), list.gold.end(), [&](int64_t gold) {
           return facts.concept_of(gold) == concept_id;
         });
}

bool duplicates_gold(int64_t row, const JudgedList& list, const FilterConfig& filters, const PoolFacts& facts) {
  return std::any_of(list.gold.begin(), list.gold.end(), [&](int64_t gold) {
    return facts.same_picture(row, gold, filters.duplicate_pictures, filters.dhash_bits);
  });
}

}  // namespace

std::vector<Verdict> judge(const JudgedList& list, const FilterConfig& filters, const PoolFacts& facts) {
  TRIREME_ASSERT(
      list.rows.size() == list.scores.size() && list.gold.size() == list.gold_scores.size() && !list.gold.empty(),
      "{} rows, {} scores, {} gold, {} scores", list.rows.size(), list.scores.size(), list.gold.size(),
      list.gold_scores.size());
  const double gold_score = margin_score(list, filters.margin_from);
  const auto verdict_of = [&](std::size_t i) {
    const int64_t row = list.rows[i], rank = static_cast<int64_t>(i) + 1;
    const double score = list.scores[i];
    if (holds(list.gold, row)) return Verdict::kGold;
    if (rank <= filters.skip_ranks || rank > filters.last_rank.value_or(rank)) return Verdict::kRankWindow;
    if (filters.absolute_margin && score > gold_score - *filters.absolute_margin) return Verdict::kAbsoluteMargin;
    if (filters.relative_margin && score > gold_score - (1 - *filters.relative_margin) * std::abs(gold_score))
      return Verdict::kRelativeMargin;
    if (filters.duplicate_pictures != PictureComparison::kNone && duplicates_gold(row, list, filters, facts))
      return Verdict::kNearDuplicate;
    if (holds(list.known_positives, row) || (filters.same_concept && shares_concept(row, list, facts)))
      return Verdict::kKnownPositive;
    return Verdict::kKept;
  };
  std::vector<Verdict> verdicts;
  verdicts.reserve(list.rows.size());
  for (std::size_t i = 0; i < list.rows.size(); ++i) verdicts.push_back(verdict_of(i));
  return verdicts;
}

void count(Verdict verdict, MiningCounts& counts) {
  switch (verdict) {
    case Verdict::kKept:
    case Verdict::kGold:
      return;
    case Verdict::kRankWindow:
      ++counts.rank_window;
      return;
    case Verdict::kAbsoluteMargin:
      ++counts.absolute_margin;
      return;
    case Verdict::kRelativeMargin:
      ++counts.relative_margin;
      return;
    case Verdict::kNearDuplicate:
      ++counts.near_duplicate;
      return;
    case Verdict::kKnownPositive:
      ++counts.known_positive;
      return;
  }
}

}  // namespace trireme
