#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/preparation/catalogue.h"
#include "data/preparation/records.h"

namespace trireme {

inline constexpr int64_t kPictogramsDataset = 20, kStampsDataset = 21;
/// Languages of the names that a picture is asked for in val and test (task 6); training asks for all but the unseen.
inline constexpr std::array<std::string_view, 5> kAskedLanguages = {"en", "de", "zh", "fr", "ru"};

/// The candidates that one pictogram gives; kNone where there is none.
struct PictogramCandidates {
  static constexpr int64_t kNone = -1;
  std::array<int64_t, kStyles.size()> picture, described;  ///< the picture alone, and with its keywords
  std::array<int64_t, kTones.size()> toned;
  std::array<int64_t, kLanguages.size()> name;
};

/// Every question that Pictograms asks of the pictograms of one split, each with all that answers it. The order is that
/// of the catalogue. Queries that nothing answers are left out.
class PictogramQueries {
 public:
  explicit PictogramQueries(const Catalogue& catalogue);
  const CandidateTable& candidates() const noexcept { return candidates_; }
  const std::vector<PictogramCandidates>& numbers() const noexcept { return numbers_; }
  const std::vector<Pictogram>& pictograms() const noexcept { return pictograms_; }

  std::vector<QueryRecord> name_to_picture(Split split, std::string_view language) const;  ///< task 0
  std::vector<QueryRecord> keywords_to_picture(Split split) const;                         ///< task 0
  std::vector<QueryRecord> keywords_to_name(Split split) const;                            ///< task 1
  std::vector<QueryRecord> name_to_english(Split split, std::string_view language) const;  ///< task 1
  std::vector<QueryRecord> name_to_described(Split split) const;                           ///< task 2
  std::vector<QueryRecord> picture_to_name(Split split, Style style) const;                ///< task 3
  std::vector<QueryRecord> picture_to_artist(Split split, Style style) const;              ///< task 4
  std::vector<QueryRecord> picture_to_language(Split split, Style style,
                                               std::span<const std::string_view> languages) const;  ///< task 6
  std::vector<QueryRecord> picture_to_style(Split split) const;                                     ///< task 7
  /// From the picture without a tone to each tone; `between_all`: from each of the six to each other. Task 7.
  std::vector<QueryRecord> picture_to_tone(Split split, bool between_all) const;
  std::vector<QueryRecord> picture_to_described(Split split) const;  ///< task 8

 private:
  void add_candidates(const Pictogram& pictogram);
  std::vector<std::size_t> of_split(Split split) const;
  QueryRecord from_text(std::size_t i, int64_t task_id, std::string text, std::string_view language) const;
  QueryRecord from_picture(std::size_t i, int64_t task_id, Style style) const;
  std::vector<int64_t> pictures_of(std::size_t i) const;

  const std::vector<Pictogram>& pictograms_;
  CandidateTable candidates_{kPictogramsDataset};
  std::vector<PictogramCandidates> numbers_;
};

/// Captions and stamps: task 0 one query for each caption, task 3 one for each stamp.
class StampQueries {
 public:
  explicit StampQueries(const Catalogue& catalogue);
  const CandidateTable& candidates() const noexcept { return candidates_; }
  std::vector<QueryRecord> caption_to_stamp(Split split) const;
  std::vector<QueryRecord> stamp_to_caption(Split split) const;

 private:
  struct Entry {
    int64_t picture = 0, caption = 0;  ///< numbers of the candidates; stamps of one caption share it
  };
  CandidateTable candidates_{kStampsDataset};
  std::vector<Entry> entries_;
};

/// "dog, pet": how keywords are written as one text.
std::string joined_keywords(const Annotation& annotation);

}  // namespace trireme
