#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "data/sources/pair_source.h"
#include "data/sources/source_config.h"

namespace trireme {

/// What became of one source's files.
struct OpenedSource {
  std::unique_ptr<PairSource> pairs;
  int64_t candidates = 0;           ///< documents in the pools; 0 without one
  int64_t missing_positives = 0;    ///< left out under allow_missing_positives
  int64_t dropped_queries = 0;      ///< left without a positive
  int64_t without_negatives = 0;    ///< queries that hard_negatives does not cover
  int64_t modality_mismatches = 0;  ///< queries and documents taken under allow_modality_mismatch
};

/// Opens, indexes and checks the sources in order. A pool that several sources name is read once.
/// hard_negatives: for M-BEIR sources; nullptr = those of neg_cand_list; must outlive the sources.
/// throws DataError: whatever is wrong with the files.
std::vector<OpenedSource> open_sources(const std::filesystem::path& root, std::span<const SourceConfig> configs,
                                       const HardNegatives* hard_negatives);

}  // namespace trireme
