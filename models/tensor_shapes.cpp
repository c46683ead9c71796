#include "models/tensor_shapes.h"

#include "models/linear_modules.h"

namespace trireme {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// Qwen2-VL's vision tower has layer norms with a bias, Qwen2.5-VL's has RMS norms.
void add_vision_norm(Shapes& shapes, const std::string& path, const ModelConfig& config) {
  shapes[path + ".weight"] = {config.vision->embed_dim};
  if (config.family == ModelFamily::kQwen2Vl) shapes[path + ".bias"] = {config.vision->embed_dim};
}

}  // namespace

Shapes tensor_shapes(const ModelConfig& config) {
  Shapes shapes;
  for (const auto& [path, linear] : linear_modules(config)) {
    if (path == "lm_head" && config.decoder.tie_word_embeddings) continue;
    shapes[path + ".weight"] = {linear.out_features, linear.in_features};
    if (linear.bias) shapes[path + ".bias"] = {linear.out_features};
  }

  const DecoderConfig& decoder = config.decoder;
  shapes["model.embed_tokens.weight"] = {decoder.vocab_size, decoder.hidden_size};
  shapes["model.norm.weight"] = {decoder.hidden_size};
  for (int64_t layer = 0; layer < decoder.layers; ++layer)
    for (const std::string_view norm : {"input_layernorm", "post_attention_layernorm"})
      shapes[fmt::format("model.layers.{}.{}.weight", layer, norm)] = {decoder.hidden_size};
  if (!config.vision) return shapes;

  const VisionConfig& vision = *config.vision;
  shapes["visual.patch_embed.proj.weight"] = {vision.embed_dim, vision.in_channels, vision.temporal_patch_size,
                                              vision.patch_size, vision.patch_size};
  add_vision_norm(shapes, "visual.merger.ln_q", config);
  for (int64_t block = 0; block < vision.depth; ++block)
    for (const std::string_view norm : {"norm1", "norm2"})
      add_vision_norm(shapes, fmt::format("visual.blocks.{}.{}", block, norm), config);
  return shapes;
}

}  // namespace trireme
