#pragma once

#include <cstdint>
#include <functional>

namespace trireme {

/// The alpha of a Fusion that does best.
struct AlphaFit {
  double alpha = 1;
  double value = 0;            ///< of the objective at alpha
  double retriever_value = 0;  ///< at alpha 1
  bool operator==(const AlphaFit&) const = default;
};

/// Tries alpha = 1, (n-1)/n, .., 1/n, 0 with n = steps and takes the one with the largest objective; among equal ones
/// the nearest to 1: where reranking gains nothing, the retriever's order stays.
/// objective  a metric over queries that are not the ones reported: the validation split. Larger is better.
AlphaFit fit_alpha(int64_t steps, const std::function<double(double alpha)>& objective);

}  // namespace trireme
