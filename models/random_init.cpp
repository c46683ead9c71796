#include "models/random_init.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/rng.h"
#include "models/load_tensors.h"

namespace trireme {
namespace {

torch::Tensor normal(at::IntArrayRef shape, double standard_deviation, uint64_t seed, const std::string& name) {
  RandomStream stream = random_stream(seed, "model.init." + name);
  auto tensor = at::empty(shape, at::TensorOptions(torch::kFloat32));
  float* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(standard_deviation * stream.normal());
  return tensor;
}

double linear_std(const ModelConfig& config, const RandomInit& init, const std::string& name) {
  if (init.linear_std) return *init.linear_std;
  const bool vision = name.starts_with("visual.");
  return 1.0 / std::sqrt(static_cast<double>(vision ? config.vision->embed_dim : config.decoder.hidden_size));
}

void require_positive(double value, const char* what) {
  TRIREME_CHECK(value > 0 && std::isfinite(value), ConfigError, "model",
                "{} of random weights must be positive; got {}; 0.02 is usual.", what, value);
}

}  // namespace

Lmm random_model(const ModelConfig& config, const RandomInit& init, const LoadOptions& options) {
  require_positive(init.embedding_std, "the embedding's standard deviation");
  require_positive(init.linear_std.value_or(1), "the linear layers' standard deviation");
  const auto draw = [&](const std::string& name, at::IntArrayRef shape) {
    if (name.ends_with(".bias")) return at::zeros(shape, at::TensorOptions(torch::kFloat32));
    if (shape.size() == 1) return at::ones(shape, at::TensorOptions(torch::kFloat32));  // a norm's weight
    const bool embedding = name == "model.embed_tokens.weight";
    return normal(shape, embedding ? init.embedding_std : linear_std(config, init, name), init.seed, name);
  };
  return assemble_model({config, draw}, options);
}

}  // namespace trireme
