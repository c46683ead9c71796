#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "retrieval/mining/mine_config.h"

namespace trireme {

class FieldList;

/// Documents of the pool with one dataset and one modality, in a file of their own.
struct PoolPart {
  std::string name;  ///< "dataset20_image"
  int64_t documents = 0;

  void describe(FieldList& v);
};

/// Queries of one dataset and task, each once, in a file of their own.
struct QueryGroup {
  std::string name;  ///< "dataset20_task4"
  int64_t queries = 0;
  std::vector<int64_t> parts;  ///< of the pool that they search: indices into MiningPlan::parts

  void describe(FieldList& v);
};

/// What is mined: which queries search which documents. Ordered by dataset, then task or modality.
struct MiningPlan {
  std::vector<PoolPart> parts;
  std::vector<QueryGroup> groups;
  int64_t repeated_queries = 0;  ///< lines left out because their query came before
  int64_t missing_positives = 0, queries_without_positives = 0;

  void describe(FieldList& v);
};

std::filesystem::path pool_part_file(const std::filesystem::path& folder, const PoolPart& part);
std::filesystem::path query_group_file(const std::filesystem::path& folder, const QueryGroup& group);

/// Divides queries and pool into files below `folder`; equal inputs give equal bytes. One rank does it.
/// memory: CandidatePool's, 8 bytes a document and about 100 bytes a query.
/// throws DataError, with file and line: what parse_query() and CandidatePool refuse (a query without positives); a
/// positive that the pool lacks, unless allowed; one qid for two queries; no query at all. ConfigError: depth beyond
/// what a query of a group can be given.
MiningPlan split_source(const MineSourceConfig& source, int64_t depth, const std::filesystem::path& folder);

}  // namespace trireme
