#include "evaluation/eval_lists.h"

namespace trireme {

Run run_of(const EvalSet& set, const EvalSearch& search, const Neighbours& found) {
  const EvalFile &queries = *set.files()[search.queries], &pool = *set.files()[search.pool];
  Run run;
  const auto rows = found.rows.accessor<int64_t, 2>();
  for (int64_t query = 0; query < rows.size(0); ++query) {
    run.query_ids.emplace_back(queries.ids[query]);
    for (int64_t i = 0; i < rows.size(1); ++i)
      run.doc_ids.emplace_back(rows[query][i] < 0 ? std::string_view() : pool.ids[rows[query][i]]);
  }
  run.scores = found.scores;
  run.info.candidates = pool.records.size();
  return run;
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
