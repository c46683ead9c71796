#include "data/preparation/records.h"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "core/json.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

const char* modality_of(const std::string& text, const std::string& image) {
  if (image.empty()) return "text";
  return text.empty() ? "image" : "image,text";
}

void set_if_any(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}

Json ids_of(std::span<const int64_t> numbers, const CandidateTable& candidates) {
  Json ids = Json::array();
  for (int64_t number : numbers) ids.push_back(candidates.id(number));
  return ids;
}

std::string query_id(const QueryRecord& query, const CandidateTable& candidates) {
  return fmt::format("{}:{}", candidates.dataset_id(), query.number);
}

}  // namespace

int64_t CandidateTable::add(CandidateRecord record) {
  records_.push_back(std::move(record));
  return size() - 1;
}

std::string CandidateTable::id(int64_t number) const { return fmt::format("{}:{}", dataset_id_, number); }

std::string CandidateTable::line(int64_t number) const {
  const CandidateRecord& record = (*this)[number];
  Json json = {{"did", id(number)},
               {"txt", text_or_null(record.text)},
               {"img_path", text_or_null(record.image)},
               {"modality", modality_of(record.text, record.image)},
               {"src_content", nullptr}};
  set_if_any(json, "concept", record.concept_key);
  set_if_any(json, "style", record.style);
  set_if_any(json, "language", record.language);
  set_if_any(json, "tone", record.tone);
  set_if_any(json, "group", record.group);
  set_if_any(json, "subgroup", record.subgroup);
  return dump_json(json) + "\n";
}

std::string query_line(const QueryRecord& query, std::span<const int64_t> positives, const CandidateTable& candidates) {
  Json json = {{"qid", query_id(query, candidates)},
               {"query_txt", text_or_null(query.text)},
               {"query_img_path", text_or_null(query.image)},
               {"query_modality", modality_of(query.text, query.image)},
               {"query_src_content", nullptr},
               {"pos_cand_list", ids_of(positives, candidates)},
               {"neg_cand_list", Json::array()},
               {"task_id", query.task_id}};
  set_if_any(json, "concept", query.concept_key);
  set_if_any(json, "style", query.style);
  set_if_any(json, "language", query.language);
  set_if_any(json, "tone", query.tone);
  if (!query.excluded.empty()) json["exclude_cand_list"] = ids_of(query.excluded, candidates);
  return dump_json(json) + "\n";
}

std::string qrels_lines(const QueryRecord& query, std::span<const int64_t> positives,
                        const CandidateTable& candidates) {
  std::string lines;
  for (int64_t number : positives) {
    fmt::format_to(std::back_inserter(lines), "{} 0 {} 1 {}\n", query_id(query, candidates), candidates.id(number),
                   query.task_id);
  }
  return lines;
}

}  // namespace trireme
