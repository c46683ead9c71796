#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>

#include "core/config/choice.h"
#include "core/json.h"
#include "core/rng.h"
#include "data/preparation/benchmark_files.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;
using Queries = std::vector<QueryRecord>;

constexpr std::string_view kShuffle = "pictograms.union";

/// One file of queries; `name` stands between dataset and split: "languages_task1".
struct TrainingFile {
  std::string name;
  Queries queries;
  bool in_union = true;
};

void append(Queries& queries, Queries more) {
  queries.insert(queries.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// The languages that training texts are in, English aside.
std::vector<std::string_view> foreign_languages() {
  std::vector<std::string_view> languages(kLanguages.begin() + 1, kLanguages.end());
  std::erase(languages, kUnseenLanguage);
  return languages;
}

std::vector<TrainingFile> pictogram_files(const PictogramQueries& pictograms) {
  constexpr Split kSplit = Split::kTrain;
  const std::vector<std::string_view> foreign = foreign_languages();
  std::vector<std::string_view> trained = foreign;
  trained.insert(trained.begin(), kLanguages[0]);

  std::vector<TrainingFile> files;
  const auto file = [&](std::string name) -> Queries& {
    return files.emplace_back(TrainingFile{std::move(name), {}, true}).queries;
  };
  Queries& text_to_picture = file("task0");
  append(text_to_picture, pictograms.name_to_picture(kSplit, kLanguages[0]));
  append(text_to_picture, pictograms.keywords_to_picture(kSplit));
  Queries& languages_to_picture = file("languages_task0");
  for (std::string_view language : foreign) append(languages_to_picture, pictograms.name_to_picture(kSplit, language));
  files.back().in_union = false;  // task 0 asks in English; rewriting and multilingual recipes name this file
  append(file("task1"), pictograms.keywords_to_name(kSplit));
  Queries& languages_to_name = file("languages_task1");
  for (std::string_view language : foreign) append(languages_to_name, pictograms.name_to_english(kSplit, language));
  append(file("task2"), pictograms.name_to_described(kSplit));
  Queries& to_name = file("task3");
  for (Style style : kStyles) append(to_name, pictograms.picture_to_name(kSplit, style));
  Queries& to_artist = file("task4");
  for (Style style : kStyles) append(to_artist, pictograms.picture_to_artist(kSplit, style));
  Queries& to_language = file("task6");
  for (Style style : kStyles) append(to_language, pictograms.picture_to_language(kSplit, style, trained));
  append(file("style_task7"), pictograms.picture_to_style(kSplit));
  append(file("tone_task7"), pictograms.picture_to_tone(kSplit, true));
  append(file("task8"), pictograms.picture_to_described(kSplit));
  return files;
}

std::string lines_of(const Queries& queries, const CandidateTable& candidates) {
  std::string text;
  for (const QueryRecord& query : queries) text += query_line(query, query.positives, candidates);
  return text;
}

/// What is left when one artist was never seen: neither asked about nor an answer.
Queries without_style(const Queries& queries, std::string_view style, const CandidateTable& candidates) {
  Queries kept;
  for (const QueryRecord& query : queries) {
    if (query.style == style) continue;
    QueryRecord copy = query;
    std::erase_if(copy.positives, [&](int64_t number) { return candidates[number].style == style; });
    if (!copy.positives.empty()) kept.push_back(std::move(copy));
  }
  return kept;
}

/// The files of the union in one, shuffled once and for all.
std::string shuffled_lines(const std::vector<TrainingFile>& files, const CandidateTable& candidates) {
  std::vector<const QueryRecord*> queries;
  for (const TrainingFile& file : files) {
    if (!file.in_union) continue;
    for (const QueryRecord& query : file.queries) queries.push_back(&query);
  }
  random_stream(0, kShuffle).shuffle(std::span(queries));
  std::string text;
  for (const QueryRecord* query : queries) text += query_line(*query, query->positives, candidates);
  return text;
}

std::string pool_lines(const CandidateTable& candidates, Split split) {
  std::string text;
  for (int64_t number = 0; number < candidates.size(); ++number) {
    if (candidates[number].split == split) text += candidates.line(number);
  }
  return text;
}

/// Bare pictures, without tones: plain records for training on pairs of two views of one picture.
std::string picture_lines(const CandidateTable& candidates) {
  std::string text;
  for (int64_t number = 0; number < candidates.size(); ++number) {
    const CandidateRecord& record = candidates[number];
    if (record.split != Split::kTrain || record.image.empty() || !record.text.empty() || !record.tone.empty()) continue;
    const Json json = {{"id", candidates.id(number)},
                       {"txt", nullptr},
                       {"img_path", record.image},
                       {"concept", record.concept_key},
                       {"style", record.style}};
    text += dump_json(json) + "\n";
  }
  return text;
}

std::string name_pairs(const std::vector<Pictogram>& pictograms, Split split) {
  std::string text;
  for (std::size_t l = 0; l < kLanguages.size(); ++l) {
    if (kLanguages[l] == kUnseenLanguage) continue;
    for (const Pictogram& pictogram : pictograms) {
      const Annotation& annotation = pictogram.annotation[l];
      if (pictogram.split != split || annotation.name.empty() || annotation.keywords.empty()) continue;
      const Json json = {{"anchor", annotation.name},
                         {"positive", joined_keywords(annotation)},
                         {"language", kLanguages[l]},
                         {"concept", pictogram.family}};
      text += dump_json(json) + "\n";
    }
  }
  return text;
}

std::string hypernym_lines(const std::vector<TextPair>& pairs) {
  std::string text;
  for (const TextPair& pair : pairs)
    text += dump_json(Json{{"anchor", pair.anchor}, {"positive", pair.positive}}) + "\n";
  return text;
}

void number_queries(std::vector<TrainingFile>& files, int64_t& next) {
  for (TrainingFile& file : files) {
    for (QueryRecord& query : file.queries) query.number = next++;
  }
}

void write_queries(const std::vector<TrainingFile>& files, std::string_view dataset, const CandidateTable& candidates,
                   DatasetWriter& out) {
  std::string qrels;
  for (const TrainingFile& file : files) {
    out.write(fmt::format("query/train/mbeir_{}_{}_train.jsonl", dataset, file.name),
              lines_of(file.queries, candidates));
    for (const QueryRecord& query : file.queries) qrels += qrels_lines(query, query.positives, candidates);
  }
  out.write(fmt::format("qrels/train/mbeir_{}_train_qrels.txt", dataset), qrels);
}

}  // namespace

NextQuery write_training_files(const Catalogue& catalogue, const PictogramQueries& pictograms,
                               const StampQueries& stamps, DatasetWriter& out) {
  NextQuery next;
  const CandidateTable& candidates = pictograms.candidates();
  std::vector<TrainingFile> files = pictogram_files(pictograms);
  number_queries(files, next.pictograms);
  write_queries(files, "pictograms", candidates, out);
  out.write("query/union_train/mbeir_union_train.jsonl", shuffled_lines(files, candidates));

  std::vector<TrainingFile> reduced;
  for (const TrainingFile& file : files)
    reduced.push_back(
        {file.name, without_style(file.queries, choice_name(Style::kSymbola), candidates), file.in_union});
  for (const TrainingFile& file : reduced) {
    out.write(fmt::format("query/train_without_symbola/mbeir_pictograms_{}_train.jsonl", file.name),
              lines_of(file.queries, candidates));
  }
  out.write("query/union_train/mbeir_union_without_symbola_train.jsonl", shuffled_lines(reduced, candidates));
  out.write("cand_pool/global/mbeir_union_train_cand_pool.jsonl", pool_lines(candidates, Split::kTrain));

  std::vector<TrainingFile> stamp_files = {{"task0", stamps.caption_to_stamp(Split::kTrain), false},
                                           {"task3", stamps.stamp_to_caption(Split::kTrain), false}};
  number_queries(stamp_files, next.stamps);
  write_queries(stamp_files, "stamps", stamps.candidates(), out);
  out.write("cand_pool/local/mbeir_stamps_train_cand_pool.jsonl", pool_lines(stamps.candidates(), Split::kTrain));

  out.write("pictures/pictograms_train.jsonl", picture_lines(candidates));
  out.write("pairs/names_keywords_train.jsonl", name_pairs(catalogue.pictograms, Split::kTrain));
  out.write("pairs/names_keywords_val.jsonl", name_pairs(catalogue.pictograms, Split::kVal));
  out.write("pairs/wordnet_hypernyms.jsonl", hypernym_lines(catalogue.hypernym_pairs));
  return next;
}

}  // namespace trireme
