#include "models/qwen2_vision.h"

#include <algorithm>

#include <fmt/format.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "models/nn/activation.h"
#include "models/nn/attention.h"
#include "models/nn/norm.h"
#include "models/nn/recompute.h"

namespace trireme {
namespace {

constexpr double kNormEps = 1e-6;  // fixed in transformers' code, not in config.json

int64_t group_size(const VisionConfig& c) { return c.merge_size * c.merge_size; }

bool gated(const VisionConfig& c) { return c.activation == "silu"; }

torch::Tensor normalized(const torch::Tensor& x, const VisionNorm& norm) {
  if (norm.bias.defined()) return layer_norm(x, norm.weight, norm.bias, kNormEps);
  return rms_norm(x, norm.weight, kNormEps);
}

torch::Tensor activated(torch::Tensor x, const VisionConfig& c) {
  return gated(c) ? swiglu(std::move(x)) : quick_gelu(std::move(x));
}

/// Rows [P, E] in merge groups of P / groups rows, the groups in the order given.
torch::Tensor permute_groups(const torch::Tensor& x, const std::vector<int64_t>& order) {
  const auto index = at::tensor(order, at::TensorOptions(torch::kInt64)).to(x.device());
  const auto groups = static_cast<int64_t>(order.size());
  return x.view({groups, -1}).index_select(0, index).view(x.sizes());
}

std::vector<int64_t> inverse_permutation(const std::vector<int64_t>& order) {
  std::vector<int64_t> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) inverse[order[i]] = static_cast<int64_t>(i);
  return inverse;
}

/// What the blocks of one forward pass share.
struct VisionPass {
  VisionConfig config;
  AttentionHeads heads;
  RotaryTable rotary;
  Seqlens seqlens;
  std::optional<DropoutRows> dropout;  // of the patches, in the layout's order
};

torch::Tensor run_block(const VisionBlock& block, const VisionPass& pass, torch::Tensor hidden) {
  const DropoutRows* dropout = pointer_to(pass.dropout);
  const auto qkv = linear(normalized(hidden, block.norm1), block.qkv, dropout);
  const auto context = rotary_attention(qkv, pass.heads, pass.rotary, pass.seqlens, AttentionMask::kFull);
  hidden = add_linear(std::move(hidden), context, block.proj, dropout);
  auto inner = linear(normalized(hidden, block.norm2), block.mlp_in, dropout);
  return add_linear(std::move(hidden), activated(std::move(inner), pass.config), block.mlp_out, dropout);
}

struct VisionDropout {
  std::optional<DropoutRows> groups, patches;  // in the layout's order
  std::optional<DropoutRows> input;            // the patches in the processor's order
};

VisionDropout dropout_of(const VisionOptions& options, const VisionLayout& layout, const VisionConfig& c) {
  if (!options.dropout) return {};
  const auto order = at::tensor(layout.group_order, at::TensorOptions(torch::kInt64));
  const auto within = at::arange(group_size(c), at::TensorOptions(torch::kInt64));
  const auto patches_of = [&](const torch::Tensor& groups) { return (groups.unsqueeze(1) + within).flatten(); };
  VisionDropout dropout{options.dropout, options.dropout, options.dropout};
  dropout.groups->row_ids = options.dropout->row_ids.index_select(0, order);
  dropout.patches->row_ids = patches_of(dropout.groups->row_ids);
  dropout.input->row_ids = patches_of(options.dropout->row_ids);
  return dropout;
}

}  // namespace

void visit_tensors(Qwen2Vision& vision, const VisionConfig& c, const TensorVisitor& visitor) {
  const int64_t merged = c.embed_dim * group_size(c);
  const PartVisit tower{visitor, ModelPart::kVisionTower, c.embed_dim};
  const PartVisit merger{visitor, ModelPart::kMerger, c.embed_dim};
  const auto visit_norm = [&](const PartVisit& part, const std::string& path, VisionNorm& norm) {
    part.norm(path, norm.weight, gated(c) ? nullptr : &norm.bias);
  };
  tower.convolution(vision.patch_embed, {"visual.patch_embed.proj", c.embed_dim},
                    {c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size});
  for (std::size_t i = 0; i < vision.blocks.size(); ++i) {
    visit_norm(tower, fmt::format("visual.blocks.{}.norm1", i), vision.blocks[i].norm1);
    visit_norm(tower, fmt::format("visual.blocks.{}.norm2", i), vision.blocks[i].norm2);
  }
  visit_norm(merger, "visual.merger.ln_q", vision.merger_norm);
  for (std::size_t i = 0; i < vision.blocks.size(); ++i) {
    VisionBlock& block = vision.blocks[i];
    const auto path = [i](const char* leaf) { return fmt::format("visual.blocks.{}.{}", i, leaf); };
    tower.linear(block.qkv, c.embed_dim, Bias::kPresent, {{path("attn.qkv"), 3 * c.embed_dim}});
    tower.linear(block.proj, c.embed_dim, Bias::kPresent, {{path("attn.proj"), c.embed_dim}});
    std::vector<LinearRows> mlp_in{{path(gated(c) ? "mlp.gate_proj" : "mlp.fc1"), c.intermediate_size}};
    if (gated(c)) mlp_in.push_back({path("mlp.up_proj"), c.intermediate_size});
    tower.linear(block.mlp_in, c.embed_dim, Bias::kPresent, mlp_in);
    tower.linear(block.mlp_out, c.intermediate_size, Bias::kPresent,
                 {{path(gated(c) ? "mlp.down_proj" : "mlp.fc2"), c.embed_dim}});
  }
  merger.linear(vision.merger_in, merged, Bias::kPresent, {{"visual.merger.mlp.0", merged}});
  merger.linear(vision.merger_out, merged, Bias::kPresent, {{"visual.merger.mlp.2", c.out_hidden_size}});
}

VisionLayout vision_layout(const torch::Tensor& grid, const VisionConfig& c) {
  const int64_t merge = c.merge_size;
  const int64_t window = c.window_size / merge / c.patch_size;  // merge groups along a window's side; 0: no windows
  const auto sizes = grid.accessor<int64_t, 2>();
  VisionLayout layout;
  layout.image_bounds = {0};
  if (window > 0) layout.window_bounds = {0};
  std::vector<int64_t> rows, columns;
  int64_t first_group = 0;
  for (int64_t image = 0; image < grid.size(0); ++image) {
    const int64_t frames = sizes[image][0], high = sizes[image][1] / merge, wide = sizes[image][2] / merge;
    const int64_t step_y = window > 0 ? window : high, step_x = window > 0 ? window : wide;
    for (int64_t frame = 0; frame < frames; ++frame, first_group += high * wide) {
      for (int64_t top = 0; top < high; top += step_y) {
        for (int64_t left = 0; left < wide; left += step_x) {
          for (int64_t y = top; y < std::min(top + step_y, high); ++y) {
            for (int64_t x = left; x < std::min(left + step_x, wide); ++x) {
              layout.group_order.push_back(first_group + y * wide + x);
              for (int64_t patch = 0; patch < merge * merge; ++patch) {
                rows.push_back(y * merge + patch / merge);
                columns.push_back(x * merge + patch % merge);
              }
            }
          }
          if (window > 0) layout.window_bounds.push_back(static_cast<int64_t>(rows.size()));
        }
      }
      layout.image_bounds.push_back(static_cast<int64_t>(rows.size()));
    }
  }
  const auto count = static_cast<int64_t>(rows.size());
  rows.insert(rows.end(), columns.begin(), columns.end());
  layout.patch_positions = at::tensor(rows, at::TensorOptions(torch::kInt64)).view({2, count});
  return layout;
}

torch::Tensor encode_images(const Qwen2Vision& vision, const VisionConfig& c, const torch::Tensor& patches,
                            const torch::Tensor& grid, const VisionOptions& options) {
  const VisionLayout layout = vision_layout(grid, c);
  const bool windowed = !layout.window_bounds.empty();
  const auto device = patches.device();
  const AttentionHeads heads{c.heads, c.heads, c.embed_dim / c.heads};
  const RotaryTable rotary = vision_rotary_table(layout.patch_positions.to(device), heads.dim);
  const VisionDropout dropout = dropout_of(options, layout, c);
  const auto pass_over = [&](const std::vector<int64_t>& bounds) {
    return std::make_shared<const VisionPass>(
        VisionPass{c, heads, rotary, make_seqlens(bounds, device), dropout.patches});
  };
  const auto images = pass_over(layout.image_bounds);
  const auto windows = windowed ? pass_over(layout.window_bounds) : images;
  const auto sees_whole_image = [&](int64_t block) {
    return std::find(c.full_attention_blocks.begin(), c.full_attention_blocks.end(), block) !=
           c.full_attention_blocks.end();
  };

  auto hidden =
      linear(patches.to(vision.patch_embed.weight.scalar_type()), vision.patch_embed, pointer_to(dropout.input));
  if (windowed) hidden = permute_groups(hidden, layout.group_order);
  for (std::size_t i = 0; i < vision.blocks.size(); ++i) {
    const VisionBlock& block = vision.blocks[i];
    const auto& pass = sees_whole_image(static_cast<int64_t>(i)) ? images : windows;
    const auto run = [block, pass](const torch::Tensor& x) { return run_block(block, *pass, x); };
    const auto parameters = trainable_of({block.norm1.weight, block.norm1.bias, block.norm2.weight, block.norm2.bias},
                                         {&block.qkv, &block.proj, &block.mlp_in, &block.mlp_out});
    const bool recorded = at::GradMode::is_enabled() && (hidden.requires_grad() || !parameters.empty());
    hidden = options.recompute_blocks && recorded ? recompute(run, hidden, parameters) : run(std::move(hidden));
  }
  const auto merged = normalized(hidden, vision.merger_norm).view({-1, c.embed_dim * group_size(c)});
  const DropoutRows* groups = pointer_to(dropout.groups);
  const auto features = linear(at::gelu(linear(merged, vision.merger_in, groups)), vision.merger_out, groups);
  return windowed ? permute_groups(features, inverse_permutation(layout.group_order)) : features;
}

}  // namespace trireme
