#include "models/linear_modules.h"

namespace trireme {
namespace {

void add_decoder_layer(std::map<std::string, LinearShape>& modules, const DecoderConfig& c, int64_t layer) {
  const std::string attention = fmt::format("model.layers.{}.self_attn.", layer);
  const std::string mlp = fmt::format("model.layers.{}.mlp.", layer);
  const int64_t query_width = c.heads * c.head_dim, kv_width = c.kv_heads * c.head_dim;
  modules[attention + "q_proj"] = {c.hidden_size, query_width, true};
  modules[attention + "k_proj"] = {c.hidden_size, kv_width, true};
  modules[attention + "v_proj"] = {c.hidden_size, kv_width, true};
  modules[attention + "o_proj"] = {query_width, c.hidden_size, false};
  modules[mlp + "gate_proj"] = {c.hidden_size, c.intermediate_size, false};
  modules[mlp + "up_proj"] = {c.hidden_size, c.intermediate_size, false};
  modules[mlp + "down_proj"] = {c.intermediate_size, c.hidden_size, false};
}

void add_vision_block(std::map<std::string, LinearShape>& modules, const VisionConfig& v, ModelFamily family,
                      int64_t block) {
  const std::string prefix = fmt::format("visual.blocks.{}.", block);
  modules[prefix + "attn.qkv"] = {v.embed_dim, 3 * v.embed_dim, true};
  modules[prefix + "attn.proj"] = {v.embed_dim, v.embed_dim, true};
  if (family == ModelFamily::kQwen2Vl) {
    modules[prefix + "mlp.fc1"] = {v.embed_dim, v.intermediate_size, true};
    modules[prefix + "mlp.fc2"] = {v.intermediate_size, v.embed_dim, true};
  } else {
    modules[prefix + "mlp.gate_proj"] = {v.embed_dim, v.intermediate_size, true};
    modules[prefix + "mlp.up_proj"] = {v.embed_dim, v.intermediate_size, true};
    modules[prefix + "mlp.down_proj"] = {v.intermediate_size, v.embed_dim, true};
  }
}

}  // namespace

std::map<std::string, LinearShape> linear_modules(const ModelConfig& config) {
  std::map<std::string, LinearShape> modules;
  const DecoderConfig& c = config.decoder;
  for (int64_t layer = 0; layer < c.layers; ++layer) add_decoder_layer(modules, c, layer);
  modules["lm_head"] = {c.hidden_size, c.vocab_size, false};
  if (config.vision) {
    const VisionConfig& v = *config.vision;
    for (int64_t block = 0; block < v.depth; ++block) add_vision_block(modules, v, config.family, block);
    const int64_t merged = v.embed_dim * v.merge_size * v.merge_size;
    modules["visual.merger.mlp.0"] = {merged, merged, true};
    modules["visual.merger.mlp.2"] = {merged, v.out_hidden_size, true};
  }
  return modules;
}

std::map<std::string, LinearShape> lora_modules(const ModelConfig& config) {
  auto modules = linear_modules(config);
  if (!config.vision) return modules;
  const VisionConfig& v = *config.vision;
  modules["visual.patch_embed.proj"] = {v.in_channels * v.temporal_patch_size * v.patch_size * v.patch_size,
                                        v.embed_dim,
                                        false,
                                        {v.in_channels, v.temporal_patch_size, v.patch_size, v.patch_size}};
  return modules;
}

StoredShapes stored_shapes(const LinearShape& layer, int64_t rank) {
  const std::vector<int64_t> inputs = layer.kernel.empty() ? std::vector{layer.in_features} : layer.kernel;
  StoredShapes shapes{{layer.out_features}, {rank}, {layer.out_features, rank}};
  shapes.weight.insert(shapes.weight.end(), inputs.begin(), inputs.end());
  shapes.a.insert(shapes.a.end(), inputs.begin(), inputs.end());
  shapes.b.resize(shapes.a.size(), 1);
  return shapes;
}

int64_t decoder_lora_parameters_per_rank(const ModelConfig& config) {
  std::map<std::string, LinearShape> layer;
  add_decoder_layer(layer, config.decoder, 0);
  int64_t sum = 0;
  for (const auto& [path, shape] : layer) sum += shape.in_features + shape.out_features;
  return sum * config.decoder.layers;
}

}  // namespace trireme
