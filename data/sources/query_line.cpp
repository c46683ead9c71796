#include "data/sources/query_line.h"

#include "core/error.h"
#include "data/sources/records.h"

namespace trireme {
namespace {

std::vector<std::string> ids_under(simdjson::dom::object object, std::string_view key, std::string_view where) {
  simdjson::dom::element element;
  if (object.at_key(key).get(element) || element.is_null()) return {};
  simdjson::dom::array array;
  TRIREME_CHECK(!element.get(array), DataError, where, "{} must be a list of dids; got {}; correct the line.", key,
                shown(element));
  std::vector<std::string> ids;
  for (simdjson::dom::element item : array) {
    std::string_view id;
    TRIREME_CHECK(!item.get(id), DataError, where, "{} must hold strings; got {}; put each did in quotes.", key,
                  shown(item));
    ids.emplace_back(id);
  }
  return ids;
}

}  // namespace

QueryLine parse_query(std::string_view line, std::string_view where, bool allow_modality_mismatch) {
  const simdjson::dom::object object = parse_json_line(line, where);
  QueryLine query;
  query.qid = required_text(object, "qid", where);
  check_id(query.qid, where);
  query.text = text_or_empty(object, "query_txt", where);
  query.image = text_or_empty(object, "query_img_path", where);
  if (!query.image.empty()) check_image_path(query.image, where);
  const Modality has = modality_of(query.text, query.image, "query_txt or query_img_path", where);
  query.modality = check_modality(object, "query_modality", has, allow_modality_mismatch, where);
  query.modality_fits = query.modality == has;
  query.dataset = dataset_of(query.qid, where);
  query.task = task_of(object, where);
  candidate_modality_of_task(query.task, where);
  query.positives = ids_under(object, "pos_cand_list", where);
  TRIREME_CHECK(!query.positives.empty(), DataError, where,
                "a training query must have a positive in pos_cand_list; got none; add one or remove the line.");
  query.negatives = ids_under(object, "neg_cand_list", where);
  query.excluded = ids_under(object, "exclude_cand_list", where);
  query.concept_key = text_or_empty(object, "concept", where);
  return query;
}

}  // namespace trireme
