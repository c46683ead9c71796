#pragma once

#include <cstdint>
#include <optional>

#include "core/tensor.h"

namespace trireme {

/// What decides the dropout of one training step. The mask of a value is a pure function of (seed, step, the module's
/// path, the sequence's id, the token's place in it, the column): the same sequence has the same masks in another pack,
/// on another rank, in GradCache's second pass and in a recomputed block.
struct DropoutContext {
  uint64_t seed = 0;
  int64_t step = 0;
  /// [B] int64 on the CPU: which sequence of the step's global batch each of the pack's is; 0 .. 2^40-1, each once.
  torch::Tensor sequence_ids;
};

/// How a forward pass runs. The defaults are those of inference.
struct ForwardOptions {
  /// The batch's image_features when kept from before: its patches are not read then, and may be missing. Undefined:
  /// computed.
  torch::Tensor features;
  std::optional<DropoutContext> dropout;  ///< nullopt: none, whatever the LoRA terms say
  bool recompute_blocks = false;          ///< keep only each block's input for the backward pass and run it again there
};

}  // namespace trireme
