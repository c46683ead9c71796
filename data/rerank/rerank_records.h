#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/rerank/samples_config.h"
#include "data/sources/mined_negatives.h"
#include "data/sources/pair_source.h"

namespace trireme {

/// The records of one query's samples. A document may occur more than once, under one id.
struct RerankRecords {
  Record query, target;
  Record negative;             ///< of the pair that is answered "No"
  std::vector<Record> listed;  ///< the list without the target
  int64_t target_number = 1;   ///< where the target stands in the list: 1 .. listed.size() + 1
  std::string where;           ///< file and line of the query
};

/// Draws a query's negatives among what was mined for it. Known positives of the pair are none.
/// pair    read without hard negatives.      source  where its documents are.      draws  what is drawn from.
/// throws DataError: the query was not mined for; the source lacks a document; as draw_negatives().
RerankRecords draw_records(TrainingPair pair, const PairSource& source, const MinedNegatives& negatives,
                           const RerankSamplesConfig& samples, RandomStream draws);

}  // namespace trireme
