#pragma once

#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "losses/info_nce.h"
#include "losses/pair_exclusion.h"
#include "losses/row_layout.h"

namespace trireme {

/// One of the embedding's prefixes that the loss is summed over.
struct Prefix {
  int64_t width = 0;
  double weight = 1;
};

/// One evaluation of InfoNCE, checked and agreed on: what the two ways of computing it start from.
struct Contrast {
  const InfoNceConfig& config;
  const RowLayout& layout;
  const PairExclusion& exclusion;
  Communicator& comm;
  /// At least one; metrics are taken of the widest, which comes first.
  std::vector<Prefix> prefixes;
  /// 1 / t, 0-dim in the rows' dtype, with gradient when the temperature is learned.
  torch::Tensor scale;

  bool symmetric() const { return config.direction == ContrastDirection::kSymmetric; }
  /// What one row's loss in one direction counts for in the loss of the global batch.
  double row_weight() const { return (symmetric() ? 0.5 : 1.0) / static_cast<double>(layout.global_rows); }
};

/// rows are float32 or float64, contiguous. Both are collective as info_nce is.
InfoNceResult gathered_info_nce(const ContrastiveRows& rows, const Contrast& contrast);
InfoNceResult tiled_info_nce(const ContrastiveRows& rows, const Contrast& contrast);

/// x [B, D] -> rows of length 1; a row shorter than kLeastLength is divided by that, so a zero row stays zero.
torch::Tensor unit_rows(const torch::Tensor& x);
/// The gradient of unit_rows at x.
torch::Tensor unit_rows_backward(const torch::Tensor& gradient, const torch::Tensor& x);

/// Mean over i != j of the cosine of rows i and j, from the sum over rows of unit rows [D] and the sum of their squared
/// lengths; 0 for one row.
torch::Tensor mean_cosine_between(const torch::Tensor& sum_of_rows, const torch::Tensor& sum_of_squares, int64_t rows);

}  // namespace trireme
