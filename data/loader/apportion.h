#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme {

/// Divides `seats` by weight in whole numbers: Sainte-Lague's method (each seat to the largest weight / (2 * seats it
/// has + 1), ties to the first). With one seat more nobody has fewer, so what falls to an interval of seats is the
/// difference of two calls: shares of any step without a walk through the steps before it.
/// Source: Balinski, Young, "Fair Representation", 1982 (house monotonicity of divisor methods).
/// weights  finite, at least 0, one above 0.      seats  at least 0.
/// return   as many numbers, of sum `seats`, each within about one of its exact share.
/// cost     O(weights^2), whatever the number of seats.
std::vector<int64_t> apportion(std::span<const double> weights, int64_t seats);

/// Deals items to `ranks`, the same number to each, so that the sums of their sizes are close: the largest item first,
/// always to the rank with the least so far that has room (Graham 1969). sizes.size() is a multiple of ranks.
/// return the rank's items in ascending order.
std::vector<int64_t> balanced_share(std::span<const int64_t> sizes, int64_t rank, int64_t ranks);

}  // namespace trireme
