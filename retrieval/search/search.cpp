#include "retrieval/search/search.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <c10/core/InferenceMode.h>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/quote.h"
#include "core/parallel.h"
#include "core/shape.h"
#include "retrieval/search/blocks.h"
#include "retrieval/search/candidates.h"
#include "retrieval/search/kernels.h"

namespace trireme {

void SearchOptions::describe(FieldList& v) {
  v.field("block_rows", block_rows, "Corpus rows in memory at a time, twice: searched and being read.")
      .at_least(1)
      .no_effect_on_values();
}
static_assert(field_count<SearchOptions>() == 1, "describe() must list every field");
namespace {

constexpr std::string_view kWhere = "search";

// A thread multiplies a tile of queries by a tile of the block; the product stays in its share of the cache until it
// has been looked through.
constexpr int64_t kQueriesPerTile = 1024;
constexpr int64_t kRowsPerTile = 1024;
constexpr int64_t kScoresPerLook = 256;

/// A bound on |matrix product - exact_dot rounded to float32| in units of ||q|| ||d||: Higham's gamma for a sum of
/// `dim` products, the rounding of the exact score, and a little for the float64 arithmetic of the bound itself.
double relative_error(int64_t dim) {
  constexpr double kUnit = 0x1p-24;
  const double du = static_cast<double>(dim) * kUnit;
  return (du / (1 - du) + 2 * kUnit) * 1.001;
}

ExcludedRows checked_exclusions(const ExcludedRows& excluded, int64_t queries, int64_t rows) {
  TRIREME_ASSERT(excluded.empty() || std::ssize(excluded) == queries, "{} lists for {} queries", excluded.size(),
                 queries);
  ExcludedRows sorted = excluded;
  sorted.resize(static_cast<std::size_t>(queries));
  for (std::vector<int64_t>& list : sorted) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    TRIREME_ASSERT(list.empty() || (list.front() >= 0 && list.back() < rows), "excluded rows {} to {} of {}",
                   list.front(), list.back(), rows);
  }
  return sorted;
}

/// Some consecutive queries, searched by one thread at a time.
struct QueryTile {
  int64_t begin, end;
};

std::vector<QueryTile> tiles_of(int64_t queries) {
  const auto divided_up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t threads = at::get_num_threads();
  const int64_t rounds = std::max<int64_t>(divided_up(queries, threads * kQueriesPerTile), 1);
  const int64_t size = std::max<int64_t>(divided_up(queries, threads * rounds), 1);  // every thread as many tiles
  std::vector<QueryTile> tiles;
  for (int64_t begin = 0; begin < queries; begin += size) tiles.push_back({begin, std::min(begin + size, queries)});
  return tiles;
}

/// Everything a thread needs to search a block.
struct BlockSearch {
  const torch::Tensor& queries;             ///< [Q, D] float32
  const std::vector<double>& query_errors;  ///< [Q] relative_error * ||q||
  const Block& block;
  double largest_norm;  ///< of the block's rows
  const IdTable& ids;

  BlockScorer scorer(int64_t query) const {
    const int64_t dim = queries.size(1);
    // Products below float32's normal range may be flushed to zero; that is no relative error.
    const double underflow = static_cast<double>(dim) * 0x1p-125;
    return {queries.const_data_ptr<float>() + query * dim,
            block.vectors.const_data_ptr<float>(),
            block.first_row,
            dim,
            query_errors[static_cast<std::size_t>(query)] * largest_norm + underflow,
            ids};
  }
};

/// Pushes what of one query's scores could come in.
void look_through(const float* scores, int64_t count, int64_t first_row, const BlockScorer& scorer, Candidates& best) {
  for (int64_t begin = 0; begin < count; begin += kScoresPerLook) {
    const int64_t end = std::min(begin + kScoresPerLook, count);
    if (!any_at_least(scores + begin, end - begin, best.threshold())) continue;
    for (int64_t i = begin; i < end; ++i)
      if (scores[i] >= best.threshold()) best.push(first_row + i, scores[i], scorer);
  }
}

/// `product`: this thread's buffer.
void search_tile(const BlockSearch& search, QueryTile tile, torch::Tensor& product, std::vector<Candidates>& best) {
  const torch::Tensor queries = search.queries.narrow(0, tile.begin, tile.end - tile.begin);
  std::vector<BlockScorer> scorers;
  for (int64_t q = tile.begin; q < tile.end; ++q) {
    scorers.push_back(search.scorer(q));
    best[static_cast<std::size_t>(q)].enter_block(scorers.back());
  }
  const int64_t rows = search.block.vectors.size(0);
  for (int64_t begin = 0; begin < rows; begin += kRowsPerTile) {
    const int64_t count = std::min(kRowsPerTile, rows - begin);
    torch::Tensor scores = product.narrow(0, 0, queries.size(0) * count).view({queries.size(0), count});
    at::mm_out(scores, queries, search.block.vectors.narrow(0, begin, count).t());
    const float* const values = scores.const_data_ptr<float>();
    for (int64_t q = tile.begin; q < tile.end; ++q)
      look_through(values + (q - tile.begin) * count, count, search.block.first_row + begin,
                   scorers[static_cast<std::size_t>(q - tile.begin)], best[static_cast<std::size_t>(q)]);
  }
  for (int64_t q = tile.begin; q < tile.end; ++q)
    best[static_cast<std::size_t>(q)].settle(scorers[static_cast<std::size_t>(q - tile.begin)]);
}

/// [Q, k] of this rank; its share may have fewer than k.
Neighbours listed(const std::vector<Candidates>& best, int64_t k) {
  const auto queries = static_cast<int64_t>(best.size());
  Neighbours found{at::full({queries, k}, -1, torch::kInt64),
                   at::full({queries, k}, -std::numeric_limits<float>::infinity(), torch::kFloat32)};
  auto* const rows = found.rows.mutable_data_ptr<int64_t>();
  auto* const scores = found.scores.mutable_data_ptr<float>();
  for (int64_t q = 0; q < queries; ++q) {
    const auto& entries = best[static_cast<std::size_t>(q)].entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      rows[q * k + static_cast<int64_t>(i)] = entries[i].row;
      scores[q * k + static_cast<int64_t>(i)] = entries[i].score;
    }
  }
  return found;
}

/// The k best of all ranks' lists, in the order that one rank alone would have given.
Neighbours merge_over_ranks(const Neighbours& mine, const IdTable& ids, Communicator& communicator) {
  constexpr int64_t kQueriesAtOnce = 4096;
  const int64_t ranks = communicator.size(), queries = mine.rows.size(0), k = mine.rows.size(1);
  if (ranks == 1) return mine;
  struct Entry {
    float score;
    int64_t row;
  };
  const auto better = [&](const Entry& a, const Entry& b) {
    if (a.row < 0 || b.row < 0) return a.row >= 0 && b.row < 0;
    return a.score != b.score ? a.score > b.score : ids.place(a.row) < ids.place(b.row);
  };
  Neighbours merged{at::empty_like(mine.rows), at::empty_like(mine.scores)};
  for (int64_t first = 0; first < queries; first += kQueriesAtOnce) {
    const int64_t count = std::min(kQueriesAtOnce, queries - first);
    const auto rows = at::empty({ranks, count, k}, torch::kInt64), scores = at::empty({ranks, count, k}, torch::kFloat);
    communicator.all_gather(rows, mine.rows.narrow(0, first, count)).wait();
    communicator.all_gather(scores, mine.scores.narrow(0, first, count)).wait();
    const auto* const row = rows.const_data_ptr<int64_t>();
    const auto* const score = scores.const_data_ptr<float>();
    auto* const best_row = merged.rows.mutable_data_ptr<int64_t>() + first * k;
    auto* const best_score = merged.scores.mutable_data_ptr<float>() + first * k;
    parallel_for(count, 64, [&](int64_t begin, int64_t end) {
      std::vector<Entry> entries(static_cast<std::size_t>(ranks * k));
      for (int64_t q = begin; q < end; ++q) {
        for (int64_t r = 0; r < ranks; ++r)
          for (int64_t i = 0; i < k; ++i) {
            const int64_t at = (r * count + q) * k + i;
            entries[static_cast<std::size_t>(r * k + i)] = {score[at], row[at]};
          }
        std::partial_sort(entries.begin(), entries.begin() + k, entries.end(), better);
        for (int64_t i = 0; i < k; ++i) {
          best_row[q * k + i] = entries[static_cast<std::size_t>(i)].row;
          best_score[q * k + i] = entries[static_cast<std::size_t>(i)].score;
        }
      }
    });
  }
  return merged;
}

}  // namespace

TensorSource::TensorSource(torch::Tensor vectors) : vectors_(std::move(vectors)) {
  TRIREME_CHECK(vectors_.defined() && vectors_.dim() == 2 && vectors_.is_cpu() && is_searchable(vectors_.scalar_type()),
                ShapeError, kWhere, "a corpus must be [N, D] float32 or float16 on the CPU; got {}; convert it.",
                shape_string(vectors_));
}

Neighbours search(const torch::Tensor& queries, const VectorSource& corpus, const IdTable& ids, int64_t k,
                  const SearchOptions& options, Communicator& communicator, const ExcludedRows& excluded,
                  const std::function<void(int64_t done, int64_t of)>& progress) {
  const c10::InferenceMode no_gradient;
  TRIREME_CHECK(queries.dim() == 2 && queries.is_cpu() && is_searchable(queries.scalar_type()) &&
                    queries.size(1) == corpus.dim() && corpus.dim() > 0,
                ShapeError, kWhere, "queries must be [Q, {}] float32 or float16 on the CPU, as the corpus; got {}; {}.",
                corpus.dim(), shape_string(queries), "embed both with the same model");
  TRIREME_ASSERT(ids.rows() == corpus.rows(), "{} ids of {} rows", ids.rows(), corpus.rows());
  const ExcludedRows exclusions = checked_exclusions(excluded, queries.size(0), corpus.rows());
  TRIREME_CHECK(k >= 1 && k <= corpus.rows(), ConfigError, kWhere,
                "k must be from 1 to the corpus size; got k = {} and {} rows; lower k.", k, corpus.rows());

  const torch::Tensor vectors = queries.to(torch::kFloat32).contiguous();
  std::vector<double> query_errors =
      checked_norms(vectors, /*unit_length=*/false, [](int64_t row) { return fmt::format("query row {}", row); });
  for (double& each : query_errors) each *= relative_error(corpus.dim());
  std::vector<Candidates> best;
  for (const auto& list : exclusions) best.emplace_back(k, list);

  const std::vector<QueryTile> tiles = tiles_of(queries.size(0));
  const RowRange share = share_of_rank(corpus.rows(), communicator.rank(), communicator.size());
  const int64_t workers = at::get_num_threads();
  std::vector<torch::Tensor> products;
  for (int64_t i = 0; i < workers; ++i)
    products.push_back(at::empty({kQueriesPerTile * std::min(kRowsPerTile, options.block_rows)}, torch::kFloat32));
  BlockReader reader(corpus, share, options.block_rows);
  while (const auto block = reader.next()) {
    const BlockSearch block_search{vectors, query_errors, *block, checked_largest_norm(*block, corpus, ids), ids};
    std::atomic<std::size_t> next_tile{0};
    parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
      const c10::InferenceMode no_gradient_here;
      for (int64_t worker = begin; worker < end; ++worker)
        for (std::size_t tile = next_tile++; tile < tiles.size(); tile = next_tile++)
          search_tile(block_search, tiles[tile], products[static_cast<std::size_t>(worker)], best);
    });
    communicator.check_peers();
    if (progress) progress(block->first_row + block->vectors.size(0) - share.begin, share.end - share.begin);
  }
  return merge_over_ranks(listed(best, k), ids, communicator);
}

int64_t list_length(const torch::Tensor& scores, int64_t query) {
  const int64_t depth = scores.size(1);
  const float* const list = scores.const_data_ptr<float>() + query * depth;
  int64_t length = depth;
  while (length > 0 && list[length - 1] == -std::numeric_limits<float>::infinity()) --length;
  return length;
}

std::string require_comparable(const std::filesystem::path& queries_path, const EmbeddingsReader& queries,
                               const std::filesystem::path& corpus_path, const EmbeddingsReader& corpus,
                               const std::vector<FingerprintPart>& may_differ) {
  const EmbeddingsInfo &q = queries.info(), &c = corpus.info();
  const auto require = [&](bool equal, std::string_view what, const std::string& of_queries,
                           const std::string& of_corpus) {
    TRIREME_CHECK(equal, DataError, kWhere,
                  "queries and corpus must have the same {}; got {} in {} and {} in {}; embed both alike.", what,
                  of_queries, quote_path(queries_path), of_corpus, quote_path(corpus_path));
  };
  const auto named = [](const std::string& sha256) { return sha256.empty() ? "none" : sha256; };
  // Files made elsewhere may know no hash; then the name has to do.
  if (q.model_sha256.empty() && c.model_sha256.empty())
    require(q.model == c.model, "model", quote_text(q.model), quote_text(c.model));
  const auto allowed = [&](FingerprintPart part) { return std::ranges::find(may_differ, part) != may_differ.end(); };
  if (!allowed(FingerprintPart::kWeights))
    require(q.model_sha256 == c.model_sha256, "model (sha256 of its weights)", named(q.model_sha256),
            named(c.model_sha256));
  if (!allowed(FingerprintPart::kAdapterWeights))
    require(q.adapter_sha256 == c.adapter_sha256, "adapter (sha256)", named(q.adapter_sha256), named(c.adapter_sha256));
  if (!allowed(FingerprintPart::kRopeMode)) require(q.rope_mode == c.rope_mode, "rope mode", q.rope_mode, c.rope_mode);
  std::vector<FingerprintPart> parts = differing_parts(q.fingerprint, c.fingerprint, kComparableParts);
  std::erase_if(parts, allowed);
  require(parts.empty(), names_of(parts), values_of(q.fingerprint, parts), values_of(c.fingerprint, parts));
  require(q.normalized == c.normalized, "normalisation", q.normalized ? "unit length" : "none",
          c.normalized ? "unit length" : "none");
  TRIREME_CHECK(queries.dim() == corpus.dim(), ShapeError, kWhere,
                "queries and corpus must have as many dimensions; got {} in {} and {} in {}; embed both alike.",
                queries.dim(), quote_path(queries_path), corpus.dim(), quote_path(corpus_path));
  if (!q.fingerprint.empty() && !c.fingerprint.empty()) return "";
  return fmt::format(
      "{} does not say what it follows from beside weights and rope mode (a file of format version 1, or made "
      "elsewhere): adapter configuration, tokenizer and the rest were not compared",
      quote_path(q.fingerprint.empty() ? queries_path : corpus_path));
}

}  // namespace trireme
