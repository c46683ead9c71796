#include "models/qwen2_decoder.h"

#include <fmt/format.h>

#include "models/nn/activation.h"
#include "models/nn/norm.h"
#include "models/nn/recompute.h"

namespace trireme {
namespace {

torch::Tensor attend(const Qwen2Layer& layer, const DecoderPass& pass, const torch::Tensor& hidden) {
  const DecoderConfig& c = pass.config;
  const auto qkv = linear(rms_norm(hidden, layer.input_norm, c.rms_norm_eps), layer.qkv, pointer_to(pass.dropout));
  return rotary_attention(qkv, {c.heads, c.kv_heads, c.head_dim}, pass.rotary, pass.seqlens, AttentionMask::kCausal);
}

/// The layer behind its attention; row by row.
torch::Tensor project(const Qwen2Layer& layer, const DecoderConfig& c, torch::Tensor hidden,
                      const torch::Tensor& context, const DropoutRows* dropout) {
  hidden = add_linear(std::move(hidden), context, layer.o, dropout);
  auto gate_up = linear(rms_norm(hidden, layer.post_norm, c.rms_norm_eps), layer.gate_up, dropout);
  return add_linear(std::move(hidden), swiglu(std::move(gate_up)), layer.down, dropout);
}

torch::Tensor run_layer(const Qwen2Layer& layer, const DecoderPass& pass, const torch::Tensor& hidden) {
  return project(layer, pass.config, hidden, attend(layer, pass, hidden), pointer_to(pass.dropout));
}

torch::Tensor run_on_rows(const Qwen2Layer& layer, const DecoderPass& pass, const torch::Tensor& hidden,
                          const std::optional<DropoutRows>& of_rows) {
  const auto context = attend(layer, pass, hidden).index_select(0, pass.rows);
  return project(layer, pass.config, hidden.index_select(0, pass.rows), context, pointer_to(of_rows));
}

}  // namespace

void visit_tensors(Qwen2Decoder& decoder, const DecoderConfig& c, const TensorVisitor& visitor) {
  const int64_t query_width = c.heads * c.head_dim, kv_width = c.kv_heads * c.head_dim;
  const PartVisit part{visitor, ModelPart::kDecoder, c.hidden_size};
  const PartVisit embeddings{visitor, ModelPart::kEmbeddings, c.hidden_size};
  embeddings.embedding("model.embed_tokens", decoder.embed_tokens, c.vocab_size);
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    part.norm(fmt::format("model.layers.{}.input_layernorm", i), decoder.layers[i].input_norm);
    part.norm(fmt::format("model.layers.{}.post_attention_layernorm", i), decoder.layers[i].post_norm);
  }
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    Qwen2Layer& layer = decoder.layers[i];
    const std::string attention = fmt::format("model.layers.{}.self_attn.", i);
    const std::string mlp = fmt::format("model.layers.{}.mlp.", i);
    part.linear(
        layer.qkv, c.hidden_size, Bias::kPresent,
        {{attention + "q_proj", query_width}, {attention + "k_proj", kv_width}, {attention + "v_proj", kv_width}});
    part.linear(layer.o, query_width, Bias::kNone, {{attention + "o_proj", c.hidden_size}});
    part.linear(layer.gate_up, c.hidden_size, Bias::kNone,
                {{mlp + "gate_proj", c.intermediate_size}, {mlp + "up_proj", c.intermediate_size}});
    part.linear(layer.down, c.intermediate_size, Bias::kNone, {{mlp + "down_proj", c.hidden_size}});
  }
  part.norm("model.norm", decoder.norm);
}

torch::Tensor decode_rows(const Qwen2Decoder& decoder, const DecoderPass& pass, torch::Tensor hidden) {
  const auto shared = std::make_shared<const DecoderPass>(pass);
  std::optional<DropoutRows> of_rows = pass.dropout;
  if (of_rows) of_rows->row_ids = of_rows->row_ids.index_select(0, pass.rows.cpu());
  for (const Qwen2Layer& layer : decoder.layers) {
    // Behind the last layer's attention nothing looks across rows any more.
    const bool last = &layer == &decoder.layers.back();
    const auto run = [layer, shared, last, of_rows](const torch::Tensor& x) {
      return last ? run_on_rows(layer, *shared, x, of_rows) : run_layer(layer, *shared, x);
    };
    const auto parameters =
        trainable_of({layer.input_norm, layer.post_norm}, {&layer.qkv, &layer.o, &layer.gate_up, &layer.down});
    const bool recorded = at::GradMode::is_enabled() && (hidden.requires_grad() || !parameters.empty());
    hidden = pass.recompute_layers && recorded ? recompute(run, hidden, parameters) : run(std::move(hidden));
  }
  return rms_norm(hidden, decoder.norm, pass.config.rms_norm_eps);
}

torch::Tensor decode_rows(const Qwen2Decoder& decoder, const CachedPass& pass, std::vector<KvLayer>& cache,
                          torch::Tensor hidden) {
  const DecoderConfig& c = pass.config;
  const AttentionHeads heads{c.heads, c.kv_heads, c.head_dim};
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    const Qwen2Layer& layer = decoder.layers[i];
    const bool last = i + 1 == decoder.layers.size();
    const auto qkv = linear(rms_norm(hidden, layer.input_norm, c.rms_norm_eps), layer.qkv);
    write_keys_and_values(qkv, heads, pass.rotary, pass.seqlens.slots, cache[i]);
    if (last && pass.rows.size(0) == 0) return hidden.narrow(0, 0, 0);
    auto context = cached_rotary_attention(qkv, heads, pass.rotary, pass.seqlens, cache[i]);
    if (last) {
      context = context.index_select(0, pass.rows);
      hidden = hidden.index_select(0, pass.rows);
    }
    hidden = project(layer, c, std::move(hidden), context, nullptr);
  }
  return rms_norm(hidden, decoder.norm, c.rms_norm_eps);
}

}  // namespace trireme
