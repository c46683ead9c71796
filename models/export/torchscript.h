#pragma once

#include <filesystem>

#include "core/tensor.h"
#include "models/lmm.h"

namespace trireme {

/// Writes the embedding of text as a TorchScript archive, LoRA merged in, float32, for torch::jit::load anywhere:
///   forward(input_ids [B, L] int64, attention_mask [B, L] int64) -> [B, D] float32, rows of length 1
/// The row of a sequence is the final norm's output at its last token with mask 1; padding may stand on either side.
/// Images are not part of it: a vision-language model's merged folder is for that.
/// throws DataError: disk full.
void write_text_embedder(const std::filesystem::path& file, Lmm& model);

/// Loads the archive and gives what it computes for the sequences of a text batch, [N, D].
torch::Tensor run_text_embedder(const std::filesystem::path& file, const PackedBatch& batch);

}  // namespace trireme
