#pragma once

#include <cstdint>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"

namespace trireme {

struct ContrastiveRows;

/// How the rows of the global batch lie on the ranks; every rank knows the same. Global order: rank by rank.
struct RowLayout {
  int64_t rank = 0;
  std::vector<int64_t> rows_of_rank;   ///< [R], each at least 1
  std::vector<int64_t> first_of_rank;  ///< [R], in global order
  int64_t global_rows = 0;
  int64_t most_rows = 0;       ///< of any rank: what every rank's share is padded to in collectives
  int64_t hard_negatives = 0;  ///< N, of each row
  int64_t most_known_ids = 0;  ///< of any rank: PairLabels::known_id

  int64_t ranks() const { return static_cast<int64_t>(rows_of_rank.size()); }
  int64_t my_rows() const { return rows_of_rank[static_cast<std::size_t>(rank)]; }
  int64_t my_first() const { return first_of_rank[static_cast<std::size_t>(rank)]; }
};

/// Collective: one all-gather of a few numbers, on the rows' device; waits for the device.
/// throws ShapeError, the same on every rank: a rank without rows; ranks that differ in N, D, dtype, or in whether they
/// record a gradient; a global batch of fewer than two columns.
RowLayout agree_on_layout(const ContrastiveRows& rows, int64_t known_ids, Communicator& comm);

/// share [my_rows, ..] of each rank -> [global_rows, ..]. Collective: one all-gather of [most_rows, ..].
torch::Tensor all_gather_rows(const torch::Tensor& share, const RowLayout& layout, Communicator& comm);

/// The same, differentiable: the gradient of a row is summed over the ranks and goes to its owner. Collective, and its
/// backward too: one reduce-scatter.
torch::Tensor all_gather_rows_with_gradient(const torch::Tensor& share, const RowLayout& layout, Communicator& comm);

}  // namespace trireme
