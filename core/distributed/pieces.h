#pragma once

#include <cstdint>
#include <vector>

#include "core/distributed/collective.h"

namespace trireme {

// A collective of tensors that a transport does not take at once, cut along what each rank contributes. For
// core/distributed/*.cpp only.

/// How many of a rank's `call.entry.count` elements travel at a time so that no tensor of a piece is above piece_bytes;
/// one at least. All of them where the call need not be cut.
int64_t elements_at_a_time(const Collective& call, int64_t ranks, int64_t piece_bytes);

/// Elements [begin, begin + count) of every rank's contribution: the same collective over views of the call's tensors,
/// or over a copy of that part where the tensor holds every rank's and the part is not contiguous.
Collective piece_of(const Collective& call, int64_t ranks, int64_t begin, int64_t count);

/// Brings what a piece has received in a copy to its place in the call's output. Nothing where it was a view.
void store_piece(const Collective& call, const Collective& piece, int64_t ranks, int64_t begin);

}  // namespace trireme
