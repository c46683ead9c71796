#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/distributed/communicator.h"
#include "retrieval/search/hnsw.h"
#include "retrieval/search/run_file.h"
#include "retrieval/search/search.h"

namespace trireme {

class FieldList;

enum class SearchIndex { kExact, kHnsw };
constexpr auto choice_names(SearchIndex) {
  return std::to_array<std::pair<SearchIndex, std::string_view>>(
      {{SearchIndex::kExact, "exact"}, {SearchIndex::kHnsw, "hnsw"}});
}

/// What `trireme search` is asked to do.
struct SearchFilesOptions {
  std::filesystem::path queries, corpus, out;
  std::optional<std::filesystem::path> trec, index_file;
  std::string tag = "trireme";
  int64_t k = 50;
  SearchIndex index = SearchIndex::kExact;
  bool exclude_same_id = false;
  int64_t recall_queries = 200;
  HnswOptions hnsw;
  SearchOptions exact;
  std::vector<FingerprintPart> may_differ;

  void describe(FieldList& v);
};

/// What was done. Seconds on the wall clock.
struct SearchReport {
  int64_t queries = 0, corpus_rows = 0, dim = 0;
  double prepare_s = 0;  ///< opening, checking, reading ids and queries
  double index_s = 0;    ///< building or loading the HNSW index
  double search_s = 0;
  double write_s = 0;
  std::optional<double> recall;  ///< of the HNSW index against exact search
  std::string warning;           ///< what could not be compared; "" when all could
};

/// What is going on, how far it is and how far it will go, in corpus rows of this rank.
using SearchProgress = std::function<void(std::string_view phase, int64_t done, int64_t of)>;

/// Searches one embeddings file with another and writes a run file: bytes do not depend on the number of ranks.
/// config_sha256: over the resolved options that change values.
/// collective: every rank enters; rank 0 writes.
/// throws what its parts throw, and DataError: files that must not be mixed, no queries, an id twice. ConfigError: an
/// HNSW index with several ranks. On any throw no output is left behind or replaced.
SearchReport search_files(const SearchFilesOptions& options, const std::string& config_sha256,
                          Communicator& communicator, const SearchProgress& progress = {});

/// RunInfo::candidates of a search: the documents of the corpus, less the fewest that a query excludes.
int64_t candidates_of(const IdTable& corpus_ids, const ExcludedRows& excluded);

/// The run of what a search found, ids instead of rows; of its RunInfo the candidates alone. query_ids [Q]. cost: all
/// ids of the lists in memory.
Run run_of(const Neighbours& neighbours, const IdTable& query_ids, const IdTable& corpus_ids,
           const ExcludedRows& excluded);

}  // namespace trireme
