#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace trireme {

enum class ModelFamily { kQwen2, kQwen2Vl, kQwen25Vl };

/// What of a model a tensor is in.
enum class ModelPart { kEmbeddings, kDecoder, kHead, kVisionTower, kMerger };
constexpr bool sees_pictures(ModelPart part) { return part == ModelPart::kVisionTower || part == ModelPart::kMerger; }

struct DecoderConfig {
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  double rms_norm_eps = 1e-6, rope_theta = 1e6;
  /// M-RoPE: how head_dim / 2 is split over the time, height, width axes; empty for text-only models.
  std::vector<int64_t> mrope_section;
  bool tie_word_embeddings = false;
};

/// The vision tower of Qwen2-VL or Qwen2.5-VL. depth blocks of embed_dim, then the merger to the decoder's hidden size.
struct VisionConfig {
  int64_t depth = 0, embed_dim = 0, heads = 0, in_channels = 3, out_hidden_size = 0;
  int64_t intermediate_size = 0;  ///< of the block MLP: embed_dim * mlp_ratio for Qwen2-VL
  int64_t patch_size = 14, merge_size = 2, temporal_patch_size = 2;
  int64_t window_size = 0;                     ///< pixels; 0 = every block attends over the whole image (Qwen2-VL)
  std::vector<int64_t> full_attention_blocks;  ///< Qwen2.5-VL: blocks that ignore the windows
  std::string activation = "quick_gelu";       ///< "quick_gelu" (Qwen2-VL), "silu" (Qwen2.5-VL)
};

struct ModelConfig {
  ModelFamily family = ModelFamily::kQwen2;
  DecoderConfig decoder;
  std::optional<VisionConfig> vision;
  int64_t image_token_id = -1, video_token_id = -1, vision_start_token_id = -1, vision_end_token_id = -1;
  std::string dtype;  ///< of the weights, as config.json says: "bfloat16", "float16", "float32"; "" when it does not
};

std::string family_name(ModelFamily family);  ///< "qwen2", "qwen2_vl", "qwen2_5_vl": config.json's model_type

/// Reads config.json of a hub folder: flat and nested text_config, rope_scaling and rope_parameters, torch_dtype and
/// dtype. throws DataError: folder or file missing, broken JSON, unknown model_type (lists the known), a field missing,
/// of the wrong type or contradicting another; use_sliding_window true.
ModelConfig read_model_config(const std::filesystem::path& model_folder);

}  // namespace trireme
