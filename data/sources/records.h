#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/sources/line_index.h"

namespace trireme {

/// A thing to embed: text, image, or both. Text is as the prompt takes it (M-BEIR's normalisation and instruction
/// applied).
struct Record {
  std::string id;
  std::string text;   ///< "" = none
  std::string image;  ///< path below the image root; "" = none
};

enum class OnDataError {
  kStop,  ///< a record that cannot be read ends the run, with its id
  kSkip,  ///< it is left out, counted and listed; in training its pair is replaced by another one of the same group
};
constexpr auto choice_names(OnDataError) {
  return std::to_array<std::pair<OnDataError, std::string_view>>(
      {{OnDataError::kStop, "stop"}, {OnDataError::kSkip, "skip"}});
}

/// M-BEIR's query_instructions.tsv. Key: dataset id, query modality, candidate modality; up to four prompts each.
class InstructionTable {
 public:
  /// throws DataError: missing file, a line with fewer than five columns or a dataset id that is not a number.
  explicit InstructionTable(const std::filesystem::path& tsv);
  /// The non-empty prompts for a key. throws DataError naming the key when there is none.
  const std::vector<std::string>& prompts(int64_t dataset_id, std::string_view query_modality,
                                          std::string_view candidate_modality, std::string_view where) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, std::vector<std::string>, std::less<>> prompts_;
};

/// What the vectors of a record file follow from, each as 64 hex digits over all records in order. Fields that no
/// prompt holds (positives, concepts) are not in it, nor how the lines are written.
struct RecordContents {
  std::string records;       ///< ids, texts without their instructions, image paths
  std::string instructions;  ///< of each record; "none" when none has one
};

struct RecordOptions {
  /// M-BEIR queries need it; see RecordFile.
  std::optional<InstructionTable> instructions;
  int64_t prompt_number = 1;  ///< which of a key's prompts, from 1
  /// Any of the prompts instead, drawn for each line of the file: a pure function of seed and line.
  std::optional<uint64_t> instruction_seed = std::nullopt;
  /// Queries without instructions: format_string of their own text.
  bool plain_queries = false;
  /// Records whose modality field contradicts what they hold are taken as they are; see check_modality().
  bool allow_modality_mismatch = false;
};

/// A jsonl file of records, memory-mapped. Each line is one of
///   {"id", "txt", "img_path"}                       plain: txt verbatim
///   {"did", "txt", "img_path", "modality"}          M-BEIR candidate: format_string(txt)
///   {"qid", "query_txt", "query_img_path", "query_modality", "task_id"}   M-BEIR query: instruction and text
/// null or "" means none; other keys are ignored; empty lines are not allowed. The whole file is checked at
/// construction, in one pass of about 500 MB/s that keeps 24 bytes a record. throws DataError, with file and line: not
/// JSON, not UTF-8, nested deeper than 32, not an object, no id or an id that is not a string, an id seen before (both
/// lines), neither text nor image, an image path that is absolute or holds "..", a modality that contradicts the
/// content, an unknown task_id, no instruction for a query, no record at all.
class RecordFile {
 public:
  /// Called once for each record, in order, while the file is checked: what else is wanted of all of them needs no
  /// second pass.
  using Visit = std::function<void(int64_t row, const Record& record)>;
  RecordFile(const std::filesystem::path& jsonl, RecordOptions options, const Visit& visit = {});
  int64_t size() const noexcept { return kept_ ? std::ssize(*kept_) : lines_.size(); }
  /// From here on the file has these rows only; ascending, one at least. Instructions drawn for them stay as they were.
  void keep(std::vector<int64_t> rows);
  /// The first record with an image; empty when all are text.
  std::optional<int64_t> first_image_row() const noexcept { return first_image_row_; }
  Record read(int64_t row) const;
  /// Records whose modality field contradicts what they hold; 0 unless these are allowed.
  int64_t modality_mismatches() const noexcept { return modality_mismatches_; }
  /// cost: one pass over the file.
  RecordContents contents() const;
  /// The line itself, for what a Record does not hold.
  std::string_view line(int64_t row) const { return lines_[line_of(row)]; }
  /// "records.jsonl:17", for messages about record `row`.
  std::string where(int64_t row) const { return lines_.where(line_of(row)); }

 private:
  int64_t line_of(int64_t row) const { return kept_ ? (*kept_)[static_cast<std::size_t>(row)] : row; }
  struct Parsed {
    Record record;                             ///< text without the instruction
    const std::string* instruction = nullptr;  ///< of `options_`; null: none
    bool modality_fits = true;
  };
  Parsed parse(int64_t line) const;
  LineIndex lines_;
  RecordOptions options_;
  std::optional<std::vector<int64_t>> kept_;  ///< line of each row; empty: all
  std::optional<int64_t> first_image_row_;
  int64_t modality_mismatches_ = 0;
};

/// The modality of what a task retrieves ("text", "image" or "image,text"), by M-BEIR's task id.
/// throws DataError: not one of 0-4, 6-8.
std::string_view candidate_modality_of_task(int64_t task_id, std::string_view where);

/// Where images are.
struct ImageRoot {
  ImageRoot(std::filesystem::path image_folder = {}, bool links_are_followed = false)
      : folder(std::move(image_folder)), follow_links(links_are_followed) {}
  std::filesystem::path folder;  ///< empty: none is given
  bool follow_links;             ///< also where they lead out of the folder: to a hub cache's blobs, another disk
};

/// The record's image file, resolved below the root. throws DataError: missing, a link that leaves the folder unless
/// links are followed.
std::filesystem::path resolve_image(const ImageRoot& root, std::string_view image, std::string_view where);

}  // namespace trireme
