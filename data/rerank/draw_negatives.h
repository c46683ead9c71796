#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "data/rerank/samples_config.h"

namespace trireme {

/// Which of a query's documents stand in its samples; numbers of documents in the order in which they were found.
struct DrawnNegatives {
  std::size_t pointwise = 0;
  std::vector<std::size_t> listwise;  ///< in the order of the list, from which the positive is left out
  int64_t target_number = 1;          ///< where the positive stands in the list: 1 .. listwise.size() + 1
};

/// Draws for one query. The pointwise negative and the list are independent of each other; everything is uniform.
/// is_positive  of each document that was found; one at least.      stream  all that the draw depends on besides.
/// throws DataError at `where`: no documents; under strict, no negative among them.
DrawnNegatives draw_negatives(const std::vector<bool>& is_positive, const RerankSamplesConfig& config,
                              RandomStream stream, std::string_view where);

}  // namespace trireme
