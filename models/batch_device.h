#pragma once

#include <c10/core/Device.h>

#include "core/packed_batch.h"

namespace trireme {

/// The batch with those tensors on `device` that the model reads there; bounds and grids, which it reads on the host,
/// stay. Costs nothing where they are there already.
PackedBatch on_device(PackedBatch batch, c10::Device device);

}  // namespace trireme
