#include "retrieval/mining/filters.h"

#include <cmath>
#include <unordered_set>

#include "core/config/field_list.h"
#include "core/error.h"

namespace trireme {

void FilterConfig::describe(FieldList& v) {
  v.field("skip_ranks", skip_ranks, "Drop the first so many of a list; gold documents count as ranks.").at_least(0);
  v.field("last_rank", last_rank, "Drop what comes after this rank, counted from 1; default: keep all.").at_least(1);
  v.field("absolute_margin", absolute_margin, "Drop what scores above the gold document's score less this.")
      .at_least(0);
  v.field("relative_margin", relative_margin,
          "Drop what scores above this share of the gold document's score (0.95); for a gold score s below 0, above "
          "s - (1 - share) |s|.")
      .between(0, 1);
  v.field("margin_from", margin_from, "Which gold document, where a query has several.");
  v.field("duplicate_pictures", duplicate_pictures,
          "Drop documents whose picture is a gold document's: the same file, or nearly the same to look at.");
  v.field("dhash_bits", dhash_bits, "Under dhash: so many of 64 bits may differ.").between(0, 64);
  v.field("same_concept", same_concept, "Drop documents whose concept is the query's or a gold document's.");
  v.field("known_positives", known_positives,
          "qrels files: drop documents that they judge relevant for the query, beside its gold.");
  v.field("balance", balance,
          "Keep so many negatives of a query, drawn so that a document is one about as often as it is gold; default: "
          "keep all.")
      .at_least(1);
  v.field("on_empty", on_empty, "What becomes of a query that is left without a negative.");
}
static_assert(field_count<FilterConfig>() == 11, "describe() must list every field");

void FilterConfig::check(Problems& problems) const {
  if (last_rank && *last_rank <= skip_ranks)
    problems.add("last_rank", fmt::format("must be above skip_ranks; got {} and {}; raise it", *last_rank, skip_ranks));
}
namespace {

double margin_score(const JudgedList& list, MarginFrom from) {
  const auto [worst, best] = std::minmax_element(list.positive_scores.begin(), list.positive_scores.end());
  return from == MarginFrom::kBestPositive ? *best : *worst;
}

/// Of the query and of its positives; 0, which is none, left out.
std::unordered_set<int64_t> concepts_of(const JudgedList& list, const PoolFacts& facts) {
  std::unordered_set<int64_t> concepts = {list.concept_id};
  for (const int64_t positive : list.positives) concepts.insert(facts.concept_of(positive));
  concepts.erase(0);
  return concepts;
}

bool duplicates_positive(int64_t row, const JudgedList& list, const FilterConfig& filters, const PoolFacts& facts) {
  return std::any_of(list.positives.begin(), list.positives.end(), [&](int64_t positive) {
    return facts.same_picture(row, positive, filters.duplicate_pictures, filters.dhash_bits);
  });
}

}  // namespace

std::vector<FilterVerdict> judge(const JudgedList& list, const FilterConfig& filters, const PoolFacts& facts) {
  TRIREME_ASSERT(list.rows.size() == list.scores.size() && list.positives.size() == list.positive_scores.size() &&
                     !list.positives.empty(),
                 "{} rows, {} scores, {} gold, {} scores", list.rows.size(), list.scores.size(), list.positives.size(),
                 list.positive_scores.size());
  const double positive_score = margin_score(list, filters.margin_from);
  const std::unordered_set<int64_t> positives(list.positives.begin(), list.positives.end());
  const std::unordered_set<int64_t> known(list.known_positives.begin(), list.known_positives.end());
  const auto concepts = filters.same_concept ? concepts_of(list, facts) : std::unordered_set<int64_t>{};
  const auto verdict_of = [&](std::size_t i) {
    const int64_t row = list.rows[i], rank = static_cast<int64_t>(i) + 1;
    const double score = list.scores[i];
    if (positives.contains(row)) return FilterVerdict::kPositive;
    if (rank <= filters.skip_ranks || rank > filters.last_rank.value_or(rank)) return FilterVerdict::kRankWindow;
    if (filters.absolute_margin && score > positive_score - *filters.absolute_margin)
      return FilterVerdict::kAbsoluteMargin;
    if (filters.relative_margin && score > positive_score - (1 - *filters.relative_margin) * std::abs(positive_score))
      return FilterVerdict::kRelativeMargin;
    if (filters.duplicate_pictures != PictureComparison::kNone && duplicates_positive(row, list, filters, facts))
      return FilterVerdict::kNearDuplicate;
    if (known.contains(row) || (filters.same_concept && concepts.contains(facts.concept_of(row))))
      return FilterVerdict::kKnownPositive;
    return FilterVerdict::kKept;
  };
  std::vector<FilterVerdict> verdicts;
  verdicts.reserve(list.rows.size());
  for (std::size_t i = 0; i < list.rows.size(); ++i) verdicts.push_back(verdict_of(i));
  return verdicts;
}

void count(FilterVerdict verdict, MiningCounts& counts) {
  switch (verdict) {
    case FilterVerdict::kKept:
    case FilterVerdict::kPositive:
      return;
    case FilterVerdict::kRankWindow:
      ++counts.rank_window;
      return;
    case FilterVerdict::kAbsoluteMargin:
      ++counts.absolute_margin;
      return;
    case FilterVerdict::kRelativeMargin:
      ++counts.relative_margin;
      return;
    case FilterVerdict::kNearDuplicate:
      ++counts.near_duplicate;
      return;
    case FilterVerdict::kKnownPositive:
      ++counts.known_positive;
      return;
  }
}

}  // namespace trireme
