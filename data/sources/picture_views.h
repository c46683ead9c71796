#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/sources/candidate_pool.h"
#include "data/sources/pair_source.h"

namespace trireme {

/// The pictures of candidate pools, each as a pair with itself: the loader augments the two sides apart, and the model
/// learns to find one view by the other. A picture that several candidates show counts once; their texts are left out.
class PictureViews final : public PairSource {
 public:
  /// throws DataError: no candidate with a picture.
  explicit PictureViews(std::vector<std::shared_ptr<const CandidatePool>> pools);

  int64_t size() const noexcept override { return static_cast<int64_t>(rows_.size()); }
  const std::vector<std::string>& groups() const noexcept override { return groups_; }
  int64_t group_of(int64_t) const noexcept override { return 0; }
  PairIdentity identity(int64_t row, RandomStream stream) const override;
  PairSize pair_size(int64_t, RandomStream) const override { return {.text_bytes = 0, .images = 2}; }
  /// throws DataError: hard negatives asked for.
  TrainingPair read(int64_t row, RandomStream stream, int64_t hard_negatives) const override;
  bool is_views() const noexcept override { return true; }

 private:
  struct Row {
    uint32_t pool, row;
  };
  std::vector<std::shared_ptr<const CandidatePool>> pools_;
  std::vector<Row> rows_;
  std::vector<std::string> groups_{"all"};
};

}  // namespace trireme
