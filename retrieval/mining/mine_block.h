#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "data/sources/hard_negatives_file.h"
#include "retrieval/mining/filters.h"
#include "retrieval/search/search.h"

namespace trireme {

/// What a query brings along beside its vector. Rows are the pool's.
struct MiningQuery {
  std::string id, where;                   ///< for messages: file and line
  std::vector<int64_t> positives{};        ///< at least one
  std::vector<int64_t> excluded{};         ///< never among its neighbours: its own picture
  std::vector<int64_t> known_positives{};  ///< dropped, though not the query's own
  int64_t concept_id = 0;                  ///< 0 = none
};

/// What is searched. The facts grow by the hashes of pictures that filters ask for.
struct MiningPool {
  const VectorSource& vectors;
  const IdTable& ids;
  PoolFacts& facts;
};

struct MinedBlock {
  std::vector<MinedQuery> queries;  ///< of rank 0; empty on the others
  MiningCounts counts;              ///< the same
};

/// The `depth` nearest documents of each query by exact search (retrieval/search/search.h), positives marked, filtered.
/// Positives that are not among them are scored too, as the search would have.
/// vectors   [Q, D] as search() takes them, of `queries` in their order; the same on every rank.
/// collective: every rank searches a share of the pool; rank 0 filters.
/// memory    search()'s, and the lists. A block's, whatever the number of all queries.
/// throws    what search() throws. DataError, naming the query: its list is empty under on_empty: fail.
MinedBlock mine_block(const torch::Tensor& vectors, std::span<const MiningQuery> queries, const MiningPool& pool,
                      int64_t depth, const FilterConfig& filters, const SearchOptions& options,
                      Communicator& communicator, const std::function<void(int64_t done, int64_t of)>& progress = {});

}  // namespace trireme
