#pragma once

#include "core/distributed/communicator.h"

namespace trireme {

/// Whether any rank was asked to stop (`this_rank`: a signal came here), the same answer on all of them: a signal may
/// reach one rank only, or the ranks in different steps. Collective: one small all-reduce. Every rank calls it at the
/// same place of each step.
bool any_rank_stops(Communicator& communicator, bool this_rank);

}  // namespace trireme
