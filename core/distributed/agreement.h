#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/distributed/communicator.h"

namespace trireme {

// Small values over all ranks. Each call is collective, blocks, and throws DistError as the collectives do.

/// Every rank's value, in rank order. One collective.
std::vector<int64_t> all_gather_int64(Communicator& communicator, int64_t value);
/// Every rank's text, in rank order; lengths may differ. Two collectives.
std::vector<std::string> all_gather_string(Communicator& communicator, std::string_view text);
/// The root's values on every rank; the other ranks' argument is ignored. Two collectives.
std::vector<int64_t> broadcast_int64s(Communicator& communicator, std::vector<int64_t> values, int64_t root);
/// The root's text on every rank; the other ranks' argument is ignored. Two collectives.
std::string broadcast_string(Communicator& communicator, std::string_view text, int64_t root);

/// throws DistError, the same on every rank, when the texts differ: "every rank must have the same {what}; got {} on
/// rank 0 and {} on rank {}; {do}". For hashes of files that each rank read by itself, record counts, resolved options.
void check_ranks_agree(Communicator& communicator, std::string_view what, std::string_view text,
                       std::string_view advice);

}  // namespace trireme
