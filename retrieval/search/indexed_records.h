#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/sources/records.h"
#include "retrieval/search/id_table.h"

namespace trireme {

/// A record file with the table of its ids, of one pass over the file.
struct IndexedRecords {
  RecordFile records;
  IdTable ids;
  std::vector<uint64_t> content;  ///< of each row: a hash of text and image
};

/// throws DataError: what RecordFile and IdTable refuse.
IndexedRecords open_indexed(const std::filesystem::path& jsonl, RecordOptions options);

}  // namespace trireme
