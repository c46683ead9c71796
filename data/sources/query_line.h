#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/json_line.h"

namespace trireme {

/// A training query of M-BEIR as its line has it: text not normalised, without an instruction.
struct QueryLine {
  std::string qid, text, image;
  Modality modality = Modality::kText;  ///< what its instruction goes by; see check_modality()
  bool modality_fits = true;
  int64_t dataset = -1, task = -1;
  std::vector<std::string> positives;  ///< dids, at least one
  std::vector<std::string> negatives;  ///< dids, often none
  std::vector<std::string> excluded;   ///< dids that its ranking leaves out: its own image
  std::string concept_key;             ///< the field "concept", "" without it
};

/// {"qid", "query_txt", "query_img_path", "query_modality", "task_id", "pos_cand_list"[, "neg_cand_list",
/// "exclude_cand_list", "concept"]}.
/// throws DataError: not JSON, a field missing or of another type, an unknown task_id, neither text nor image, an image
/// path that leaves the root, a modality that contradicts the content (unless allowed), no positive.
QueryLine parse_query(std::string_view line, std::string_view where, bool allow_modality_mismatch = false);

}  // namespace trireme
