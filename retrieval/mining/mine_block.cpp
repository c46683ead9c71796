#include "retrieval/mining/mine_block.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "retrieval/search/kernels.h"

namespace trireme {
namespace {

/// One query's row of the search's result.
struct FoundList {
  std::span<const int64_t> rows;
  std::span<const float> scores;
};

FoundList list_of(const Neighbours& found, std::size_t query) {
  const auto depth = static_cast<std::size_t>(found.rows.size(1));
  return {std::span(found.rows.const_data_ptr<int64_t>() + query * depth, depth),
          std::span(found.scores.const_data_ptr<float>() + query * depth, depth)};
}

void hash_pictures(std::span<const MiningQuery> queries, const Neighbours& found, const FilterConfig& filters,
                   PoolFacts& facts, Communicator& communicator) {
  if (filters.duplicate_pictures == PictureComparison::kNone) return;
  const auto* const rows = found.rows.const_data_ptr<int64_t>();
  std::vector<int64_t> compared(rows, rows + found.rows.numel());
  for (const MiningQuery& query : queries)
    compared.insert(compared.end(), query.positives.begin(), query.positives.end());
  facts.hash_pictures(std::move(compared), filters.duplicate_pictures, communicator);
}

/// Scores of every query's positives: as the search found them, else by the search's own arithmetic.
std::vector<std::vector<float>> positive_scores(const torch::Tensor& vectors, std::span<const MiningQuery> queries,
                                                const Neighbours& found, const VectorSource& pool) {
  struct Wanted {
    int64_t row;
    std::size_t query, positive;
  };
  std::vector<Wanted> wanted;
  std::vector<std::vector<float>> scores;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const FoundList list = list_of(found, q);
    std::unordered_map<int64_t, float> score_of;
    for (std::size_t i = 0; i < list.rows.size(); ++i) score_of.emplace(list.rows[i], list.scores[i]);
    scores.emplace_back(queries[q].positives.size());
    for (std::size_t g = 0; g < queries[q].positives.size(); ++g) {
      const auto listed = score_of.find(queries[q].positives[g]);
      if (listed == score_of.end()) {
        wanted.push_back({queries[q].positives[g], q, g});
      } else {
        scores[q][g] = listed->second;
      }
    }
  }
  // By row, so that each chunk of a pool's file is decoded once.
  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return std::tie(a.row, a.query, a.positive) < std::tie(b.row, b.query, b.positive);
  });
  const int64_t dim = vectors.size(1);
  torch::Tensor document;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto [row, q, g] = wanted[i];
    if (i == 0 || wanted[i - 1].row != row) document = pool.read(row, 1).to(torch::kFloat32).contiguous();
    scores[q][g] = static_cast<float>(exact_dot(vectors.const_data_ptr<float>() + static_cast<int64_t>(q) * dim,
                                                document.const_data_ptr<float>(), dim));
  }
  return scores;
}

bool has_negative(const MinedQuery& query) {
  return std::any_of(query.documents.begin(), query.documents.end(),
                     [](const MinedDocument& d) { return !d.positive; });
}

MinedQuery listed(const MiningQuery& query, const FoundList& list, std::span<const float> scores_of_positives,
                  std::span<const FilterVerdict> verdicts, const IdTable& ids) {
  MinedQuery mined{.id = query.id, .documents = {}, .positives = {}};
  const std::unordered_set<int64_t> is_positive(query.positives.begin(), query.positives.end());
  for (std::size_t i = 0; i < list.rows.size(); ++i) {
    const bool positive = is_positive.contains(list.rows[i]);
    if (positive || verdicts.empty() || verdicts[i] == FilterVerdict::kKept)
      mined.documents.push_back({std::string(ids[list.rows[i]]), list.scores[i], positive});
  }
  for (std::size_t g = 0; g < query.positives.size(); ++g)
    mined.positives.push_back({std::string(ids[query.positives[g]]), scores_of_positives[g]});
  return mined;
}

/// Adds one query's list, or what on_empty makes of it.
void add(const MiningQuery& query, const FoundList& list, std::span<const float> scores_of_positives,
         const MiningPool& pool, const FilterConfig& filters, MinedBlock& block) {
  const std::vector<FilterVerdict> verdicts = judge({.rows = list.rows,
                                                     .scores = list.scores,
                                                     .positives = query.positives,
                                                     .positive_scores = scores_of_positives,
                                                     .known_positives = query.known_positives,
                                                     .concept_id = query.concept_id},
                                                    filters, pool.facts);
  MinedQuery mined = listed(query, list, scores_of_positives, verdicts, pool.ids);
  if (!has_negative(mined)) {
    switch (filters.on_empty) {
      case OnEmpty::kFail:
        throw DataError(query.where,
                        fmt::format("a negative must be left of every query's list; got none of {} documents for {}; "
                                    "raise depth, loosen filters, or change filters.on_empty.",
                                    list.rows.size(), query.id));
      case OnEmpty::kKeepUnfiltered:
        ++block.counts.emptied_unfiltered;
        block.queries.push_back(listed(query, list, scores_of_positives, {}, pool.ids));
        return;
      case OnEmpty::kDropQuery:
        ++block.counts.emptied_dropped;
        for (const FilterVerdict verdict : verdicts) count(verdict, block.counts);
        return;
    }
  }
  for (const FilterVerdict verdict : verdicts) count(verdict, block.counts);
  block.queries.push_back(std::move(mined));
}

}  // namespace

MinedBlock mine_block(const torch::Tensor& vectors, std::span<const MiningQuery> queries, const MiningPool& pool,
                      int64_t depth, const FilterConfig& filters, const SearchOptions& options,
                      Communicator& communicator, const std::function<void(int64_t done, int64_t of)>& progress) {
  TRIREME_ASSERT(vectors.size(0) == std::ssize(queries), "{} vectors of {} queries", vectors.size(0), queries.size());
  ExcludedRows excluded;
  for (const MiningQuery& query : queries) {
    excluded.push_back(query.excluded);
    TRIREME_ASSERT(depth > pool.vectors.rows() || depth <= pool.vectors.rows() - std::ssize(query.excluded),
                   "depth {} for {}", depth, query.id);  // a depth beyond the pool is search's to refuse
  }
  const torch::Tensor rows = vectors.to(torch::kFloat32).contiguous();
  const Neighbours found = search(rows, pool.vectors, pool.ids, depth, options, communicator, excluded, progress);
  hash_pictures(queries, found, filters, pool.facts, communicator);

  MinedBlock block;
  if (communicator.rank() != 0) return block;
  const std::vector<std::vector<float>> scores = positive_scores(rows, queries, found, pool.vectors);
  for (std::size_t q = 0; q < queries.size(); ++q) add(queries[q], list_of(found, q), scores[q], pool, filters, block);
  return block;
}

}  // namespace trireme
