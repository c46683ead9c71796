#include "data/sources/mined_negatives.h"

#include "core/error.h"

namespace trireme {

MinedNegatives::MinedNegatives(const std::filesystem::path& file) : path_(file), file_(HardNegativesFile::open(file)) {}

bool MinedNegatives::covers(std::string_view qid) const { return file_.find(qid).has_value(); }

MinedQuery MinedNegatives::list(std::string_view qid) const {
  const auto row = file_.find(qid);
  TRIREME_CHECK(row.has_value(), DataError, path_.string(),
                "every training query must have been mined for; got none for {}; mine again.", qid);
  return file_.read(*row);
}

std::vector<std::string> MinedNegatives::of(std::string_view qid) const {
  std::vector<std::string> dids;
  for (MinedDocument& document : list(qid).documents) {
    if (!document.positive) dids.push_back(std::move(document.id));
  }
  return dids;
}

}  // namespace trireme
