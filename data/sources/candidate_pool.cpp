#include "data/sources/candidate_pool.h"

#include <bit>
#include <limits>
#include <span>

#include "core/error.h"
#include "core/io/hash.h"
#include "data/sources/mbeir_text.h"

namespace trireme {

int64_t document_id(std::string_view did) {
  return static_cast<int64_t>(xxh3_64(std::as_bytes(std::span(did))) & std::numeric_limits<int64_t>::max());
}

Candidate parse_candidate(std::string_view line, std::string_view where, bool allow_modality_mismatch) {
  const simdjson::dom::object object = parse_json_line(line, where);
  Candidate candidate;
  Record& record = candidate.record;
  record.id = required_text(object, "did", where);
  check_id(record.id, where);
  record.text = format_string(text_or_empty(object, "txt", where));
  record.image = text_or_empty(object, "img_path", where);
  if (!record.image.empty()) check_image_path(record.image, where);
  const Modality has = modality_of(record.text, record.image, "txt or img_path", where);
  candidate.modality = check_modality(object, "modality", has, allow_modality_mismatch, where);
  candidate.modality_fits = candidate.modality == has;
  candidate.concept_key = text_or_empty(object, "concept", where);
  return candidate;
}

CandidatePool::CandidatePool(const std::filesystem::path& jsonl, bool allow_modality_mismatch)
    : lines_(LineIndex::of_lines(jsonl)), allow_modality_mismatch_(allow_modality_mismatch) {
  TRIREME_CHECK(size() < std::numeric_limits<uint32_t>::max(), DataError, jsonl.string(),
                "a candidate pool must have fewer than 2^32 - 1 lines; got {}; split it.", size());
  const auto rows = static_cast<std::size_t>(size());
  ids_.reserve(rows);
  modalities_.reserve(rows);
  sizes_.reserve(rows);
  constexpr std::size_t kSlotsOfThreeForTwo = 3;
  slots_.resize(std::bit_ceil(rows * kSlotsOfThreeForTwo / 2 + 1));
  for (int64_t row = 0; row < size(); ++row) {
    const Candidate candidate = read(row);
    ids_.push_back(trireme::document_id(candidate.record.id));
    modalities_.push_back(candidate.modality);
    modality_mismatches_ += !candidate.modality_fits;
    const std::size_t bytes = candidate.record.text.size();
    TRIREME_CHECK(bytes < (std::size_t{1} << 31), DataError, where(row),
                  "a document's text must be shorter than 2 GiB; got {} bytes; cut it.", bytes);
    sizes_.push_back(static_cast<uint32_t>(bytes << 1 | (candidate.record.image.empty() ? 0 : 1)));
    insert(row, candidate.record.id);
  }
}

void CandidatePool::insert(int64_t row, std::string_view did) {
  std::size_t slot = first_slot(document_id(row));
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const int64_t other = slots_[slot] - int64_t{1};
    if (document_id(other) != document_id(row)) continue;
    TRIREME_CHECK(read(other).record.id != did, DataError, where(row),
                  "dids must be unique in a pool; got {} again, first at line {}; remove one.", did, other + 1);
  }
  slots_[slot] = static_cast<uint32_t>(row + 1);
}

std::optional<int64_t> CandidatePool::find(std::string_view did) const {
  const int64_t id = trireme::document_id(did);
  for (std::size_t slot = first_slot(id); slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const int64_t row = slots_[slot] - int64_t{1};
    // An id without escapes stands in its line as it is; any other line is parsed to compare.
    if (document_id(row) == id &&
        (lines_[row].find(fmt::format("\"{}\"", did)) != std::string_view::npos || read(row).record.id == did))
      return row;
  }
  return std::nullopt;
}

Candidate CandidatePool::read(int64_t row) const {
  return parse_candidate(lines_[row], where(row), allow_modality_mismatch_);
}

}  // namespace trireme
