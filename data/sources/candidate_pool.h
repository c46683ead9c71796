#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/json_line.h"
#include "data/sources/line_index.h"
#include "data/sources/records.h"

namespace trireme {

/// Ids for masks: 63 bits of XXH3 over the id as the files have it, so equal in all ranks, files and runs. Two of six
/// million documents collide with probability 2e-6.
int64_t document_id(std::string_view did);

/// A document of M-BEIR: its text normalised by format_string, without an instruction.
struct Candidate {
  Record record;
  Modality modality = Modality::kText;
  std::string concept_key;  ///< the field "concept", "" without it
};

/// throws DataError: as CandidatePool.
Candidate parse_candidate(std::string_view line, std::string_view where);

/// M-BEIR candidate pool: jsonl {"did", "txt", "img_path", "modality"[, "concept"]}, memory-mapped and found by row or
/// by did. The whole file is checked once, at about 500 MB/s; from then on 17 bytes a candidate and a hash table of 6
/// to 12 are in memory, whatever the documents' length. Immutable, safe to read from several threads.
/// throws DataError, with file and line: not JSON, no did (or not a string), a did seen before (both lines), neither
/// text nor image, an image path that leaves the root, a modality that contradicts the content.
class CandidatePool {
 public:
  explicit CandidatePool(const std::filesystem::path& jsonl);
  int64_t size() const noexcept { return lines_.size(); }
  /// Row of a did. cost: one probe and one line read, a few microseconds when the page is in memory.
  std::optional<int64_t> find(std::string_view did) const;
  Candidate read(int64_t row) const;
  int64_t document_id(int64_t row) const { return ids_[static_cast<std::size_t>(row)]; }
  Modality modality(int64_t row) const { return modalities_[static_cast<std::size_t>(row)]; }
  std::string where(int64_t row) const { return lines_.where(row); }
  const std::filesystem::path& path() const noexcept { return lines_.path(); }

 private:
  void insert(int64_t row, std::string_view did);
  std::size_t first_slot(int64_t id) const noexcept { return static_cast<std::size_t>(id) & (slots_.size() - 1); }

  LineIndex lines_;
  std::vector<int64_t> ids_;
  std::vector<Modality> modalities_;
  std::vector<uint32_t> slots_;  ///< row + 1, open addressing; 0 = free
};

}  // namespace trireme
