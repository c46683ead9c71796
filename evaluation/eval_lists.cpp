#include "evaluation/eval_lists.h"

#include "retrieval/search/search_files.h"

namespace trireme {

Run run_of(const EvalSet& set, const EvalSearch& search, const Neighbours& found) {
  return run_of(found, set.files()[search.queries]->ids, set.files()[search.pool]->ids, search.excluded);
}

Judgements judgements_of(const EvalSet& set, const EvalSearch& search) {
  const EvalFile& queries = *set.files()[search.queries];
  Judgements judgements;
  for (std::size_t query = 0; query < search.relevant.size(); ++query) {
    auto& judged = judgements[std::string(queries.ids[static_cast<int64_t>(query)])];
    for (const RelevantDocument& document : search.relevant[query]) judged.push_back({document.did, document.grade});
  }
  return judgements;
}

}  // namespace trireme
