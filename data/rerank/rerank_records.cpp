#include "data/rerank/rerank_records.h"

#include <unordered_set>

#include "data/rerank/draw_negatives.h"
#include "data/sources/candidate_pool.h"

namespace trireme {

RerankRecords draw_records(TrainingPair pair, const PairSource& source, const MinedNegatives& negatives,
                           const RerankSamplesConfig& samples, RandomStream draws) {
  const MinedQuery mined = negatives.list(pair.query.id);
  const std::unordered_set<int64_t> positives(pair.positive_ids.begin(), pair.positive_ids.end());
  std::vector<bool> is_positive;
  for (const MinedDocument& document : mined.documents)
    is_positive.push_back(document.positive || positives.contains(document_id(document.id)));
  const DrawnNegatives drawn = draw_negatives(is_positive, samples, draws, pair.where);
  const auto record = [&](std::size_t number) { return source.document(mined.documents[number].id, pair.where); };

  RerankRecords records;
  records.negative = record(drawn.pointwise);
  for (const std::size_t number : drawn.listwise) records.listed.push_back(record(number));
  records.target_number = drawn.target_number;
  records.query = std::move(pair.query);
  records.target = std::move(pair.target);
  records.where = std::move(pair.where);
  return records;
}

}  // namespace trireme
