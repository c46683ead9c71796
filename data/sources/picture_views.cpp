#include "data/sources/picture_views.h"

#include <unordered_set>

#include "core/error.h"

namespace trireme {

PictureViews::PictureViews(std::vector<std::shared_ptr<const CandidatePool>> pools) : pools_(std::move(pools)) {
  TRIREME_ASSERT(!pools_.empty(), "views need a pool");
  std::unordered_set<std::string> pictures;
  for (uint32_t pool = 0; pool < pools_.size(); ++pool) {
    for (int64_t row = 0; row < pools_[pool]->size(); ++row) {
      if (pools_[pool]->modality(row) == Modality::kText) continue;
      if (pictures.insert(pools_[pool]->read(row).record.image).second)
        rows_.push_back({pool, static_cast<uint32_t>(row)});
    }
  }
  TRIREME_CHECK(size() > 0, DataError, pools_[0]->path().string(),
                "a pool for views must have pictures; got texts only; name another pool.");
}

PairIdentity PictureViews::identity(int64_t row, RandomStream) const {
  const Row at = rows_[static_cast<std::size_t>(row)];
  const int64_t target = pools_[at.pool]->document_id(at.row);
  const std::string key = pools_[at.pool]->read(at.row).concept_key;
  return {.target_id = target, .concept_id = key.empty() ? target : document_id(key), .positive_ids = {target}};
}

TrainingPair PictureViews::read(int64_t row, RandomStream stream, int64_t hard_negatives) const {
  const Row at = rows_[static_cast<std::size_t>(row)];
  Candidate candidate = pools_[at.pool]->read(at.row);
  PairIdentity same = identity(row, stream);
  TrainingPair pair;
  pair.where = pools_[at.pool]->where(at.row);
  TRIREME_CHECK(hard_negatives == 0, DataError, pair.where,
                "data.hard_negatives must be 0 with a source of views; got {}; it has none.", hard_negatives);
  candidate.record.text.clear();
  pair.query = candidate.record;
  pair.target = std::move(candidate.record);
  pair.target_id = same.target_id;
  pair.concept_id = same.concept_id;
  pair.positive_ids = std::move(same.positive_ids);
  return pair;
}

}  // namespace trireme
