#pragma once

#include <optional>
#include <vector>

#include "core/tensor.h"
#include "models/model_config.h"
#include "models/nn/dropout.h"
#include "models/nn/linear.h"
#include "models/tensors.h"

namespace trireme {

/// LayerNorm in Qwen2-VL; RMSNorm, and then no bias, in Qwen2.5-VL.
struct VisionNorm {
  torch::Tensor weight, bias;  ///< [E]
};

struct VisionBlock {
  VisionNorm norm1;
  Linear qkv;   ///< rows: q, k, v (E each); with bias, as all linears of the tower
  Linear proj;  ///< [E, E]
  VisionNorm norm2;
  Linear mlp_in;   ///< Qwen2-VL: fc1 [F, E]; Qwen2.5-VL: rows gate (F), up (F)
  Linear mlp_out;  ///< [E, F]
};

/// The vision towers of Qwen2-VL (arXiv:2409.12191, sec. 2.1) and Qwen2.5-VL (arXiv:2502.13923, sec. 2.1.1): blocks
/// over patches, then a merger that turns each 2x2 group into one row of the decoder's width.
struct Qwen2Vision {
  Linear patch_embed;  ///< [E, C*2*14*14]: the checkpoint's Conv3d, whose stride is its kernel
  std::vector<VisionBlock> blocks;
  VisionNorm merger_norm;
  Linear merger_in;   ///< [4 E, 4 E]
  Linear merger_out;  ///< [D, 4 E]
};

/// Gives visual.*; vision.blocks: config.depth of them.
void visit_tensors(Qwen2Vision& vision, const VisionConfig& config, const TensorVisitor& visitor);

/// How a batch's patches are ordered and cut for attention. A pure function of the grids.
struct VisionLayout {
  std::vector<int64_t> group_order;  ///< [P/4]: the merge group at each place; window by window where there are windows
  std::vector<int64_t> image_bounds;   ///< patches of one frame attend to each other
  std::vector<int64_t> window_bounds;  ///< patches of one window do; empty without windows
  torch::Tensor patch_positions;       ///< [2, P] int64: row and column, in the order of group_order
};

/// grid [I, 3] int64 on the CPU.
VisionLayout vision_layout(const torch::Tensor& grid, const VisionConfig& config);

struct VisionOptions {
  /// Of the [P/4] merged groups, in the processor's order; ids are multiples of 4, and a group's patches take id ..
  /// id+3.
  std::optional<DropoutRows> dropout;
  bool recompute_blocks = false;
};

/// patches [P, C*2*14*14] in the processor's order, grid [I, 3] on the CPU -> [P/4, D] in the tower's dtype, in that
/// order.
torch::Tensor encode_images(const Qwen2Vision& vision, const VisionConfig& config, const torch::Tensor& patches,
                            const torch::Tensor& grid, const VisionOptions& options = {});

}  // namespace trireme
