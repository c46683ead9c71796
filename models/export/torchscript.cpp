#include "models/export/torchscript.h"

#include <exception>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/zeros.h>
#include <torch/script.h>

#include "core/error.h"
#include "core/io/file.h"
#include "models/export/merged_folder.h"

namespace trireme {
namespace {

using torch::jit::Module;

constexpr const char* kNorm = R"(
def normalized(self, x: Tensor, weight: Tensor) -> Tensor:
    return weight * (x * torch.rsqrt(torch.mean(x * x, -1, True) + {eps}))
)";

/// hidden [B, L, D]; cos, sin [B, 1, L, d]; mask [B, 1, L, L], true where a token is seen.
constexpr const char* kLayer = R"(
def turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    low = x[..., :{half}]
    high = x[..., {half}:]
    return x * cos + torch.cat([-high, low], -1) * sin

def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
    rows = hidden.size(0)
    length = hidden.size(1)
    qkv = torch.linear(self.normalized(hidden, self.input_norm), self.qkv, self.qkv_bias)
    qkv = qkv.view(rows, length, {all_heads}, {dim}).transpose(1, 2)
    q = self.turned(qkv[:, :{heads}], cos, sin)
    k = self.turned(qkv[:, {heads}:{key_end}], cos, sin).repeat_interleave({group}, 1)
    v = qkv[:, {key_end}:].repeat_interleave({group}, 1)
    context = torch.scaled_dot_product_attention(q, k, v, mask, 0.0, False)
    hidden = hidden + torch.linear(context.transpose(1, 2).reshape(rows, length, {query_width}), self.o)
    gate_up = torch.linear(self.normalized(hidden, self.post_norm), self.gate_up)
    inner = torch.silu(gate_up[..., :{inner}]) * gate_up[..., {inner}:]
    return hidden + torch.linear(inner, self.down)
)";

constexpr const char* kEmbedder = R"(
def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    length = input_ids.size(1)
    real = attention_mask != 0
    positions = (torch.cumsum(attention_mask, 1) - 1).clamp_min(0).float()
    angles = (positions.unsqueeze(2) * self.frequencies).repeat(1, 1, 2).unsqueeze(1)
    cos = torch.cos(angles)
    sin = torch.sin(angles)
    order = torch.arange(length, device=input_ids.device)
    causal = order.unsqueeze(0) <= order.unsqueeze(1)
    own = order.unsqueeze(0) == order.unsqueeze(1)
    mask = ((causal & real.unsqueeze(1)) | own).unsqueeze(1)
    hidden = torch.embedding(self.embed_tokens, input_ids)
{layers}    hidden = self.normalized(hidden, self.norm)
    last = torch.argmax(attention_mask * (order + 1), 1)
    rows = hidden[torch.arange(input_ids.size(0), device=input_ids.device), last]
    return rows / torch.norm(rows, 2, -1, True).clamp_min(1e-12)
)";

/// Rows of the fused layer, each module with its LoRA merged in.
torch::Tensor merged_layer(const std::vector<LinearModule>& modules, const Linear& layer) {
  std::vector<torch::Tensor> parts;
  for (const LinearModule& module : modules) {
    if (module.layer == &layer) parts.push_back(merged_weight(module).to(torch::kCPU));
  }
  return at::cat(parts, 0);
}

torch::Tensor plain(const torch::Tensor& x) { return x.detach().to(torch::kCPU, torch::kFloat32); }

Module layer_module(const Qwen2Layer& layer, const DecoderConfig& c, const std::vector<LinearModule>& modules,
                    std::size_t index) {
  Module module(fmt::format("__torch__.Qwen2Layer{}", index));
  module.register_parameter("input_norm", plain(layer.input_norm), false);
  module.register_parameter("qkv", merged_layer(modules, layer.qkv), false);
  module.register_parameter("qkv_bias", plain(layer.qkv.bias), false);
  module.register_parameter("o", merged_layer(modules, layer.o), false);
  module.register_parameter("post_norm", plain(layer.post_norm), false);
  module.register_parameter("gate_up", merged_layer(modules, layer.gate_up), false);
  module.register_parameter("down", merged_layer(modules, layer.down), false);
  module.define(fmt::format(fmt::runtime(kNorm), fmt::arg("eps", c.rms_norm_eps)));
  module.define(fmt::format(fmt::runtime(kLayer), fmt::arg("half", c.head_dim / 2), fmt::arg("dim", c.head_dim),
                            fmt::arg("heads", c.heads), fmt::arg("key_end", c.heads + c.kv_heads),
                            fmt::arg("all_heads", c.heads + 2 * c.kv_heads), fmt::arg("group", c.heads / c.kv_heads),
                            fmt::arg("query_width", c.heads * c.head_dim), fmt::arg("inner", c.intermediate_size)));
  return module;
}

/// Hands bytes on to the file. libtorch ends the process when its stream fails half way, so it is told that all goes
/// well, and a full disk is told afterwards.
class AtomicFileBuffer final : public std::streambuf {
 public:
  explicit AtomicFileBuffer(AtomicFile& file) : file_(file) {}
  /// throws the DataError of the first write that failed.
  void require_written() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    try {
      if (!failure_) file_.write(std::string_view(bytes, static_cast<std::size_t>(count)));
    } catch (const DataError&) {
      failure_ = std::current_exception();
    }
    return count;
  }
  int_type overflow(int_type value) override {
    const char byte = traits_type::to_char_type(value);
    if (!traits_type::eq_int_type(value, traits_type::eof())) xsputn(&byte, 1);
    return traits_type::not_eof(value);
  }

 private:
  AtomicFile& file_;
  std::exception_ptr failure_;
};

}  // namespace

void write_text_embedder(const std::filesystem::path& file, Lmm& model) {
  const DecoderConfig& c = model.config.decoder;
  const auto modules = linear_layers(model);
  Module embedder("__torch__.TextEmbedder");
  embedder.register_parameter("embed_tokens", plain(model.decoder.embed_tokens), false);
  embedder.register_parameter("norm", plain(model.decoder.norm), false);
  const auto exponents = at::arange(0, c.head_dim, 2, at::TensorOptions(torch::kFloat32)) / c.head_dim;
  embedder.register_buffer("frequencies", at::pow(c.rope_theta, exponents).reciprocal());
  std::string layers;
  for (std::size_t i = 0; i < model.decoder.layers.size(); ++i) {
    const std::string name = fmt::format("layer_{}", i);
    embedder.register_module(name, layer_module(model.decoder.layers[i], c, modules, i));
    layers += fmt::format("    hidden = self.{}.forward(hidden, cos, sin, mask)\n", name);
  }
  embedder.define(fmt::format(fmt::runtime(kNorm), fmt::arg("eps", c.rms_norm_eps)));
  embedder.define(fmt::format(fmt::runtime(kEmbedder), fmt::arg("layers", layers)));
  embedder.eval();
  AtomicFile output(file);
  AtomicFileBuffer buffer(output);
  std::ostream stream(&buffer);
  embedder.save(stream);
  buffer.require_written();
  output.commit();
}

torch::Tensor run_text_embedder(const std::filesystem::path& file, const PackedBatch& batch) {
  const torch::NoGradGuard no_gradient;
  Module embedder = torch::jit::load(file.string());
  const auto bounds = batch.cu_seqlens.accessor<int64_t, 1>();
  const int64_t count = bounds.size(0) - 1;
  int64_t longest = 0;
  for (int64_t i = 0; i < count; ++i) longest = std::max(longest, bounds[i + 1] - bounds[i]);
  auto ids = at::zeros({count, longest}, at::TensorOptions(torch::kInt64)),
       mask = at::zeros({count, longest}, at::TensorOptions(torch::kInt64));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t length = bounds[i + 1] - bounds[i];
    const int64_t first = i % 2 == 0 ? 0 : longest - length;  // padded on either side
    ids[i].narrow(0, first, length).copy_(batch.tokens.narrow(0, bounds[i], length));
    mask[i].narrow(0, first, length).fill_(1);
  }
  return embedder.forward({ids, mask}).toTensor();
}

}  // namespace trireme
