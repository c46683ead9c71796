#pragma once

#include <span>

#include "core/distributed/collective.h"

namespace trireme {

/// True when the calls are the same collective over tensors of one dtype and fitting sizes.
bool fit_together(const Collective& a, const Collective& b);

/// The collective itself where all ranks' tensors are in this process: calls[r] is rank r's, all fit together, none is
/// a send or recv. Reductions add in rank order.
void execute_locally(std::span<const Collective> calls);

}  // namespace trireme
