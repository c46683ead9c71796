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
  Modality modality = Modality::kText;  ///< what the instruction of a query for it goes by; see check_modality()
  bool modality_fits = true;
  std::string concept_key;  ///< the field "concept", "" without it
};

/// throws DataError: as CandidatePool.
Candidate parse_candidate(std::string_view line, std::string_view where, bool allow_modality_mismatch = false);

/// M-BEIR candidate pool: jsonl {"did", "txt", "img_path", "modality"[, "concept"]}, memory-mapped and found by row or
/// by did. The whole file is checked once, at about 500 MB/s; from then on 21 bytes a candidate and a hash table of 6
/// to 12 are in memory, whatever the documents' length. Immutable, safe to read from several threads.
/// throws DataError, with file and line: not JSON, no did (or not a string), a did seen before (both lines), neither
/// text nor image, an image path that leaves the root, a modality that contradicts the content (unless allowed).
class CandidatePool {
 public:
  explicit CandidatePool(const std::filesystem::path& jsonl, bool allow_modality_mismatch = false);
  int64_t size() const noexcept { return lines_.size(); }
  /// Row of a did. cost: one probe and one line searched for it, below a microsecond when the page is in memory.
  std::optional<int64_t> find(std::string_view did) const;
  Candidate read(int64_t row) const;
  /// The line itself.
  std::string_view line(int64_t row) const { return lines_[row]; }
  int64_t document_id(int64_t row) const { return ids_[static_cast<std::size_t>(row)]; }
  Modality modality(int64_t row) const { return modalities_[static_cast<std::size_t>(row)]; }
  /// Bytes of the document's text as read() has it, and whether it has an image: without reading the file.
  int64_t text_bytes(int64_t row) const { return sizes_[static_cast<std::size_t>(row)] >> 1; }
  bool has_image(int64_t row) const { return (sizes_[static_cast<std::size_t>(row)] & 1) != 0; }
  /// Documents whose modality field contradicts what they hold; 0 unless these are allowed.
  int64_t modality_mismatches() const noexcept { return modality_mismatches_; }
  std::string where(int64_t row) const { return lines_.where(row); }
  const std::filesystem::path& path() const noexcept { return lines_.path(); }

 private:
  void insert(int64_t row, std::string_view did);
  std::size_t first_slot(int64_t id) const noexcept { return static_cast<std::size_t>(id) & (slots_.size() - 1); }

  LineIndex lines_;
  std::vector<int64_t> ids_;
  std::vector<Modality> modalities_;
  std::vector<uint32_t> sizes_;  ///< text_bytes and, in the last bit, has_image
  bool allow_modality_mismatch_;
  int64_t modality_mismatches_ = 0;
  std::vector<uint32_t> slots_;  ///< row + 1, open addressing; 0 = free
};

}  // namespace trireme
