#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"

namespace trireme {

/// Whether a listwise reranker picks a candidate or a place. Every order is asked, each candidate stands in each place
/// equally often, so a reranker that does not look at places picks each place with share 1 / M.
struct PositionBias {
  int64_t queries = 0, candidates = 0;  ///< M candidates a list
  int64_t orders = 0;                   ///< asked of each query
  std::vector<double> share;            ///< [M] picks of the place among all picks
  /// Mean over queries of the share of orders that pick the candidate picked most often; 1: the order never matters;
  /// always the same place would give 1 / M.
  double consistency = 0;
  bool operator==(const PositionBias&) const = default;
};

/// All M! orders of 0 .. M-1 for M up to 4, the M cyclic shifts above; the first is the identity.
std::vector<std::vector<int64_t>> orders_to_ask(int64_t candidates);

/// Asks for each of the orders of one query's candidates; returns the place, 0 .. M-1, of each one's pick.
using PickPlaces = std::function<std::vector<int64_t>(int64_t query, std::span<const std::vector<int64_t>> orders)>;

/// The same values on every rank, whatever their number.
/// collective: every rank enters, with a share of the queries; one all-reduce of M + 1 counts.
PositionBias measure_position_bias(int64_t queries, int64_t candidates, const PickPlaces& pick,
                                   Communicator& communicator);

/// "position bias over 200 queries, 5 candidates, 5 orders each: picks by place 21.0 20.5 .. % (20.0 without bias),
/// consistency 0.83"
std::string position_bias_text(const PositionBias& bias);

}  // namespace trireme
