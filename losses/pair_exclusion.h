#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "losses/info_nce.h"
#include "losses/row_layout.h"

namespace trireme {

/// A range of rows or columns in global order.
struct TileRange {
  int64_t first = 0;
  int64_t count = 0;
  int64_t end() const { return first + count; }
};

/// The pairs that PairLabels and InfoNceConfig::exclude take out of the negatives, for any tile of the global scores.
class PairExclusion {
 public:
  /// Collective: nothing if config.exclude is empty; else one all-gather of labels, and one of known ids if it has
  /// known_positive. `device`: where tiles are made.
  PairExclusion(const PairLabels& labels, const InfoNceConfig& config, const RowLayout& layout, c10::Device device,
                Communicator& comm);

  /// Whether any pair may be excluded; tiles are undefined otherwise.
  bool any() const noexcept { return any_; }
  /// bool [queries, columns]; column j is candidate j.
  torch::Tensor candidates(TileRange queries, TileRange columns) const;
  /// Column j is hard negative j % N of query j / N.
  torch::Tensor hard_negatives(TileRange queries, TileRange columns) const;

 private:
  /// (query, column), ascending.
  using PairList = std::vector<std::pair<int64_t, int64_t>>;
  void add_known(const PairLabels& labels, const torch::Tensor& counts, const RowLayout& layout, Communicator& comm);
  torch::Tensor equal_labels(TileRange queries, TileRange columns, bool of_hard_negatives) const;
  void mark(torch::Tensor& tile, const PairList& pairs, TileRange queries, TileRange columns) const;

  c10::Device device_;
  /// On the device, or undefined where the config does not compare it.
  torch::Tensor query_id_, candidate_id_, concept_id_;      // [B_global]
  torch::Tensor hard_negative_id_, hard_negative_concept_;  // [B_global N]
  PairList known_candidates_, known_hard_negatives_;
  bool any_ = false;
};

/// throws ShapeError: labels that config.exclude needs and that are undefined or misshapen, offsets that do not ascend.
void check_labels(const PairLabels& labels, const InfoNceConfig& config, int64_t rows, int64_t hard_negatives);

}  // namespace trireme
