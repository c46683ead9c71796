#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/benchmark/dataset_folder.h"
#include "data/preparation/annotations.h"
#include "data/preparation/concept_key.h"
#include "data/preparation/packages.h"
#include "data/preparation/wordnet.h"

namespace trireme {

/// Who drew it.
enum class Style { kNoto, kEmojiOne, kSymbola };
inline constexpr std::array kStyles = {Style::kNoto, Style::kEmojiOne, Style::kSymbola};
constexpr auto choice_names(Style) {
  return std::to_array<std::pair<Style, std::string_view>>(
      {{Style::kNoto, "noto"}, {Style::kEmojiOne, "emojione"}, {Style::kSymbola, "symbola"}});
}

/// English first. sw is asked for in the test alone: a language that no training text is in.
inline constexpr std::array<std::string_view, 12> kLanguages = {"en", "zh", "de", "fr", "ja", "es",
                                                                "ar", "hi", "ru", "ko", "vi", "sw"};
inline constexpr std::string_view kUnseenLanguage = "sw";
inline constexpr std::array<std::string_view, 5> kTones = {"light", "medium-light", "medium", "medium-dark", "dark"};

/// An emoji without skin tone that is no flag: the thing that pictures and texts belong to.
struct Pictogram {
  std::string key, family, group, subgroup;
  Split split = Split::kTrain;
  std::array<std::string, kStyles.size()> picture;       ///< path below the dataset; "" = that artist did not draw it
  std::array<std::string, kTones.size()> toned;          ///< Noto's, all five or none
  std::array<Annotation, kLanguages.size()> annotation;  ///< the English name is never empty

  const std::string& picture_by(Style style) const { return picture[static_cast<std::size_t>(style)]; }
  const std::string& english_name() const { return annotation[0].name; }
};

struct StampEntry {
  std::string name, caption, concept_key, picture;
  Split split = Split::kTrain;
};

struct Catalogue {
  std::vector<Pictogram> pictograms;  ///< in emoji-test.txt's order
  std::vector<StampEntry> stamps;     ///< by name
  std::vector<TextPair> hypernym_pairs;
  std::vector<SplitCounts> counts;
  std::vector<std::string> notes;  ///< what was left out, and why
};

/// How many pictures there will be, then how many more are written, from several threads.
struct PictureProgress {
  std::function<void(int64_t total)> start;
  std::function<void(int64_t count)> advance;
};

/// Reads all sources and writes the pictures, 64 pixels square (stamps 96), to `out`, on all threads.
/// throws DataError: a source that is damaged.
Catalogue build_catalogue(const PictogramPackages& packages, DatasetWriter& out, const PictureProgress& progress);

/// The table of counts by split, before anything is left out.
std::vector<SplitCounts> count_splits(const std::vector<Pictogram>& pictograms, const std::vector<StampEntry>& stamps);

/// throws DataError, with all that is off: a count that differs from what the known package versions give, or, with
/// other versions, by more than a tenth.
void check_counts(const std::vector<SplitCounts>& counts, const PictogramPackages& packages);

}  // namespace trireme
