#include "data/preparation/queries.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/config/choice.h"
#include "core/error.h"
#include "data/sources/mbeir_text.h"

namespace trireme {
namespace {

constexpr int64_t kNone = PictogramCandidates::kNone;

std::size_t language_index(std::string_view language) {
  const auto found = std::find(kLanguages.begin(), kLanguages.end(), language);
  TRIREME_ASSERT(found != kLanguages.end(), "language {}", language);
  return static_cast<std::size_t>(found - kLanguages.begin());
}

std::string_view english_name_of(std::string_view language) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"en", "English"},  {"zh", "Chinese"}, {"de", "German"},  {"fr", "French"},
      {"ja", "Japanese"}, {"es", "Spanish"}, {"ar", "Arabic"},  {"hi", "Hindi"},
      {"ru", "Russian"},  {"ko", "Korean"},  {"sw", "Swahili"}, {"vi", "Vietnamese"}};
  for (const auto& [code, name] : kNames) {
    if (code == language) return name;
  }
  TRIREME_ASSERT(false, "language {}", language);
  return {};
}

std::string style_words(Style style) {
  switch (style) {
    case Style::kNoto:
      return "as a colour picture in Noto's style";
    case Style::kEmojiOne:
      return "as a colour picture in EmojiOne's style";
    case Style::kSymbola:
      break;
  }
  return "as a black outline";
}

void append_if_any(std::vector<int64_t>& numbers, int64_t number) {
  if (number != kNone) numbers.push_back(number);
}

void keep_if_answered(std::vector<QueryRecord>& queries, QueryRecord query) {
  if (!query.positives.empty()) queries.push_back(std::move(query));
}

}  // namespace

std::string joined_keywords(const Annotation& annotation) {
  return fmt::to_string(fmt::join(annotation.keywords, ", "));
}

PictogramQueries::PictogramQueries(const Catalogue& catalogue) : pictograms_(catalogue.pictograms) {
  for (const Pictogram& pictogram : pictograms_) add_candidates(pictogram);
}

void PictogramQueries::add_candidates(const Pictogram& pictogram) {
  CandidateRecord base;
  base.concept_key = pictogram.family;
  base.split = pictogram.split;
  CandidateRecord picture = base;
  picture.group = pictogram.group;
  picture.subgroup = pictogram.subgroup;
  const std::string keywords = joined_keywords(pictogram.annotation[0]);

  PictogramCandidates numbers;
  for (Style style : kStyles) {
    const auto s = static_cast<std::size_t>(style);
    numbers.picture[s] = numbers.described[s] = kNone;
    if (pictogram.picture[s].empty()) continue;
    picture.image = pictogram.picture[s];
    picture.style = choice_name(style);
    picture.text.clear();
    numbers.picture[s] = candidates_.add(picture);
    if (keywords.empty()) continue;
    picture.text = keywords;
    numbers.described[s] = candidates_.add(picture);
  }
  picture.text.clear();
  picture.style = choice_name(Style::kNoto);
  for (std::size_t tone = 0; tone < kTones.size(); ++tone) {
    numbers.toned[tone] = kNone;
    if (pictogram.toned[tone].empty()) continue;
    picture.image = pictogram.toned[tone];
    picture.tone = kTones[tone];
    numbers.toned[tone] = candidates_.add(picture);
  }
  for (std::size_t l = 0; l < kLanguages.size(); ++l) {
    numbers.name[l] = kNone;
    const bool asked = pictogram.split == Split::kTrain ? kLanguages[l] != kUnseenLanguage
                                                        : std::find(kAskedLanguages.begin(), kAskedLanguages.end(),
                                                                    kLanguages[l]) != kAskedLanguages.end();
    if (!asked || pictogram.annotation[l].name.empty()) continue;
    CandidateRecord name = base;
    name.text = pictogram.annotation[l].name;
    name.language = kLanguages[l];
    numbers.name[l] = candidates_.add(std::move(name));
  }
  numbers_.push_back(numbers);
}

std::vector<std::size_t> PictogramQueries::of_split(Split split) const {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < pictograms_.size(); ++i) {
    if (pictograms_[i].split == split) indices.push_back(i);
  }
  return indices;
}

QueryRecord PictogramQueries::from_text(std::size_t i, int64_t task_id, std::string text,
                                        std::string_view language) const {
  QueryRecord query;
  query.task_id = task_id;
  query.text = std::move(text);
  query.concept_key = pictograms_[i].family;
  query.language = language;
  return query;
}

QueryRecord PictogramQueries::from_picture(std::size_t i, int64_t task_id, Style style) const {
  const auto s = static_cast<std::size_t>(style);
  QueryRecord query;
  query.task_id = task_id;
  query.image = pictograms_[i].picture[s];
  query.concept_key = pictograms_[i].family;
  query.style = choice_name(style);
  append_if_any(query.excluded, numbers_[i].picture[s]);
  append_if_any(query.excluded, numbers_[i].described[s]);
  return query;
}

std::vector<int64_t> PictogramQueries::pictures_of(std::size_t i) const {
  std::vector<int64_t> numbers;
  for (int64_t number : numbers_[i].picture) append_if_any(numbers, number);
  return numbers;
}

std::vector<QueryRecord> PictogramQueries::name_to_picture(Split split, std::string_view language) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    const std::string& name = pictograms_[i].annotation[language_index(language)].name;
    if (name.empty()) continue;
    QueryRecord query = from_text(i, 0, name, language);
    query.positives = pictures_of(i);
    keep_if_answered(queries, std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::keywords_to_picture(Split split) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    if (pictograms_[i].annotation[0].keywords.empty()) continue;
    QueryRecord query = from_text(i, 0, joined_keywords(pictograms_[i].annotation[0]), "en");
    query.positives = pictures_of(i);
    keep_if_answered(queries, std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::keywords_to_name(Split split) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    if (pictograms_[i].annotation[0].keywords.empty()) continue;
    QueryRecord query = from_text(i, 1, joined_keywords(pictograms_[i].annotation[0]), "en");
    query.positives = {numbers_[i].name[0]};
    queries.push_back(std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::name_to_english(Split split, std::string_view language) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    const std::string& name = pictograms_[i].annotation[language_index(language)].name;
    if (name.empty()) continue;
    QueryRecord query = from_text(i, 1, name, language);
    query.positives = {numbers_[i].name[0]};
    queries.push_back(std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::name_to_described(Split split) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    QueryRecord query = from_text(i, 2, pictograms_[i].english_name(), "en");
    for (int64_t number : numbers_[i].described) append_if_any(query.positives, number);
    keep_if_answered(queries, std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::picture_to_name(Split split, Style style) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    if (pictograms_[i].picture_by(style).empty()) continue;
    QueryRecord query = from_picture(i, 3, style);
    query.positives = {numbers_[i].name[0]};
    queries.push_back(std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::picture_to_artist(Split split, Style style) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    if (pictograms_[i].picture_by(style).empty()) continue;
    QueryRecord query = from_picture(i, 4, style);
    for (Style other : kStyles) {
      if (other != style) append_if_any(query.positives, numbers_[i].picture[static_cast<std::size_t>(other)]);
    }
    keep_if_answered(queries, std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::picture_to_language(Split split, Style style,
                                                               std::span<const std::string_view> languages) const {
  // Names of two languages, or of two pictograms, may be the same text: either answers.
  std::unordered_map<std::string, std::vector<int64_t>> same_text;
  for (std::size_t i : of_split(split)) {
    for (std::string_view language : languages) {
      const int64_t number = numbers_[i].name[language_index(language)];
      if (number != kNone) same_text[format_string(candidates_[number].text)].push_back(number);
    }
  }
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    if (pictograms_[i].picture_by(style).empty()) continue;
    for (std::string_view language : languages) {
      const int64_t name = numbers_[i].name[language_index(language)];
      if (name == kNone) continue;
      QueryRecord query = from_picture(i, 6, style);
      query.text = fmt::format("its name in {}", english_name_of(language));
      query.language = language;
      query.positives = same_text.at(format_string(candidates_[name].text));
      // The one asked for comes first.
      std::stable_partition(query.positives.begin(), query.positives.end(), [&](int64_t n) { return n == name; });
      queries.push_back(std::move(query));
    }
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::picture_to_style(Split split) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    for (Style from : kStyles) {
      for (Style to : kStyles) {
        const int64_t answer = numbers_[i].picture[static_cast<std::size_t>(to)];
        if (from == to || pictograms_[i].picture_by(from).empty() || answer == kNone) continue;
        QueryRecord query = from_picture(i, 7, from);
        query.text = style_words(to);
        query.positives = {answer};
        queries.push_back(std::move(query));
      }
    }
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::picture_to_tone(Split split, bool between_all) const {
  constexpr std::size_t kVariants = kTones.size() + 1;  // variant 0 has no tone
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    const int64_t plain = numbers_[i].picture[static_cast<std::size_t>(Style::kNoto)];
    if (pictograms_[i].toned[0].empty() || plain == kNone) continue;
    const auto number_of = [&](std::size_t variant) { return variant == 0 ? plain : numbers_[i].toned[variant - 1]; };
    for (std::size_t from = 0; from < (between_all ? kVariants : 1); ++from) {
      for (std::size_t to = 0; to < kVariants; ++to) {
        if (from == to) continue;
        QueryRecord query = from_picture(i, 7, Style::kNoto);
        if (from > 0) {
          query.image = pictograms_[i].toned[from - 1];
          query.tone = kTones[from - 1];
          query.excluded = {number_of(from)};
        }
        query.text = to == 0 ? std::string("without a skin tone") : fmt::format("with {} skin tone", kTones[to - 1]);
        query.positives = {number_of(to)};
        queries.push_back(std::move(query));
      }
    }
  }
  return queries;
}

std::vector<QueryRecord> PictogramQueries::picture_to_described(Split split) const {
  std::vector<QueryRecord> queries;
  for (std::size_t i : of_split(split)) {
    for (Style style : kStyles) {
      if (pictograms_[i].picture_by(style).empty()) continue;
      QueryRecord query = from_picture(i, 8, style);
      query.text = "by another artist, with keywords";
      for (Style other : kStyles) {
        if (other != style) append_if_any(query.positives, numbers_[i].described[static_cast<std::size_t>(other)]);
      }
      keep_if_answered(queries, std::move(query));
    }
  }
  return queries;
}

StampQueries::StampQueries(const Catalogue& catalogue) {
  std::map<std::string, int64_t> number_of_caption;
  for (const StampEntry& stamp : catalogue.stamps) {
    CandidateRecord record;
    record.concept_key = stamp.concept_key;
    record.split = stamp.split;
    Entry entry;
    const auto [caption, is_new] = number_of_caption.emplace(normalise_caption(stamp.caption, stamp.name), 0);
    if (is_new) {
      record.text = stamp.caption;
      record.language = "en";
      caption->second = candidates_.add(record);
    }
    entry.caption = caption->second;
    record.text.clear();
    record.language.clear();
    record.image = stamp.picture;
    record.style = "stamp";
    record.group = stamp.name.substr(0, stamp.name.find('/'));
    entry.picture = candidates_.add(record);
    entries_.push_back(entry);
  }
}

std::vector<QueryRecord> StampQueries::caption_to_stamp(Split split) const {
  std::map<int64_t, std::vector<int64_t>> pictures;
  for (const Entry& entry : entries_) pictures[entry.caption].push_back(entry.picture);
  std::vector<QueryRecord> queries;
  for (auto& [caption, numbers] : pictures) {
    const CandidateRecord& record = candidates_[caption];
    if (record.split != split) continue;
    QueryRecord query;
    query.task_id = 0;
    query.text = record.text;
    query.concept_key = record.concept_key;
    query.language = record.language;
    query.positives = std::move(numbers);
    queries.push_back(std::move(query));
  }
  return queries;
}

std::vector<QueryRecord> StampQueries::stamp_to_caption(Split split) const {
  std::vector<QueryRecord> queries;
  for (const Entry& entry : entries_) {
    const CandidateRecord& record = candidates_[entry.picture];
    if (record.split != split) continue;
    QueryRecord query;
    query.task_id = 3;
    query.image = record.image;
    query.concept_key = record.concept_key;
    query.style = record.style;
    query.positives = {entry.caption};
    query.excluded = {entry.picture};
    queries.push_back(std::move(query));
  }
  return queries;
}

}  // namespace trireme
