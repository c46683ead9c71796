#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/line_index.h"
#include "data/sources/pair_source.h"
#include "data/sources/source_config.h"

namespace trireme {

/// One pair of texts, verbatim.
struct TextPairLine {
  std::string id, anchor, positive;
  std::string negative;     ///< "" = none
  std::string concept_key;  ///< "" = none
};

/// {"anchor", "positive"[, "negative", "id", "concept"]}, all strings.
/// throws DataError: not JSON, anchor or positive missing, empty or not a string.
TextPairLine parse_text_pair(std::string_view line, std::string_view where);

/// Which column of an NLI file holds what; hard_neg may be missing.
struct NliColumns {
  std::size_t count = 0, anchor = 0, positive = 0;
  std::optional<std::size_t> negative;
};
/// The header of princeton-nlp's nli_for_simcse.csv: sent0,sent1[,hard_neg], in any order, other columns ignored.
/// throws DataError: sent0 or sent1 missing.
NliColumns parse_nli_header(std::string_view line, std::string_view where);
/// throws DataError: not UTF-8, another number of fields, an empty sentence, quotes that break RFC 4180.
TextPairLine parse_nli_line(std::string_view line, const NliColumns& columns, std::string_view where);

/// The fields of one CSV record (RFC 4180). throws DataError: text beside a quoted field.
std::vector<std::string> csv_fields(std::string_view record, std::string_view where);

/// Text pairs of jsonl or NLI files. No instruction, no normalisation, as stage 1 of LamRA (arXiv:2412.01720) has it.
/// The positive's text is its identity: equal texts are one document. In memory: 24 bytes a pair.
class TextPairSource final : public PairSource {
 public:
  /// Every record is read once. throws DataError: as the parsers, with file and line; no pair at all.
  TextPairSource(const std::filesystem::path& root, const SourceConfig& config);

  int64_t size() const noexcept override { return static_cast<int64_t>(rows_.size()); }
  const std::vector<std::string>& groups() const noexcept override { return groups_; }
  int64_t group_of(int64_t) const noexcept override { return 0; }
  PairIdentity identity(int64_t row, RandomStream stream) const override;
  PairSize pair_size(int64_t row, RandomStream stream) const override;
  TrainingPair read(int64_t row, RandomStream stream, int64_t hard_negatives) const override;
  Record document(std::string_view did, std::string_view where) const override;

 private:
  struct Row {
    uint32_t file, line;
    int64_t text_bytes = 0;  ///< of both texts
  };
  TextPairLine at(Row row) const;
  std::string where(Row row) const { return files_[row.file].where(row.line); }

  std::vector<LineIndex> files_;
  std::vector<NliColumns> columns_;  ///< of each file; empty for jsonl
  std::vector<Row> rows_;
  std::vector<std::string> groups_{"all"};
};

}  // namespace trireme
