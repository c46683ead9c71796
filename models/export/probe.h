#pragma once

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "models/lmm.h"

namespace trireme {

/// A few sequences that touch every part of such a model: text, and with a vision tower an image between text. A pure
/// function of the configuration. For comparing a model with what was written of it.
PackedBatch probe_batch(const ModelConfig& config);
/// Text alone.
PackedBatch text_probe_batch(const ModelConfig& config);

/// Largest difference of an element between two tensors of one shape.
double largest_difference(const torch::Tensor& a, const torch::Tensor& b);

/// Refuses an export that does not give what the model gives. `tolerance` of an element of unit embeddings, or of the
/// vocabulary's scores over the largest of them.
/// throws DataError at `what`: differs more, or is not finite; says by how much.
void require_same_outputs(const torch::Tensor& written, const torch::Tensor& expected, double tolerance,
                          std::string_view what);

}  // namespace trireme
