#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "models/lmm.h"

namespace trireme::test {

/// One prompt of tests/golden/checkpoints/cases with what transformers computes from it (make.py there).
struct GoldenCase {
  std::string checkpoint, name;
  torch::Tensor tokens, position_ids, patches, grid;        ///< the last two undefined without an image
  torch::Tensor vision, hidden, embedding, embedding_oned;  ///< expected, float32
};

/// All checkpoints below tests/golden/checkpoints that have cases, sorted.
std::vector<std::string> golden_checkpoints();
std::filesystem::path golden_checkpoint_path(const std::string& checkpoint);
/// All cases of one, sorted by name.
std::vector<GoldenCase> golden_cases(const std::string& checkpoint);

Lmm load_golden_model(const std::string& checkpoint, c10::ScalarType dtype = torch::kFloat32);

/// The cases end to end, the last row of each asked for; `oned`: positions 0, 1, .. on all axes.
PackedBatch packed(const std::vector<GoldenCase>& cases, const ModelConfig& config, bool oned = false);
/// The expected rows of packed(cases).
torch::Tensor expected_embeddings(const std::vector<GoldenCase>& cases, bool oned = false);

double largest_difference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace trireme::test
