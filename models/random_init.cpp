#include "models/random_init.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/rng.h"

namespace trireme {
namespace {

torch::Tensor normal(at::IntArrayRef shape, double standard_deviation, uint64_t seed, const std::string& name) {
  RandomStream stream = random_stream(seed, "model.init." + name);
  auto tensor = at::empty(shape, at::TensorOptions(torch::kFloat32));
  float* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(standard_deviation * stream.normal());
  return tensor;
}

void require_positive(double value, const char* what) {
  TRIREME_CHECK(value > 0 && std::isfinite(value), ConfigError, "model",
                "{} of random weights must be positive; got {}; 0.02 is usual.", what, value);
}

}  // namespace

TakeTensor random_weights(const RandomInit& init) {
  require_positive(init.embedding_std, "the embedding's standard deviation");
  require_positive(init.linear_std.value_or(1), "the linear layers' standard deviation");
  return [init](const TensorSlot& slot) {
    const at::TensorOptions float32(torch::kFloat32);
    switch (slot.kind) {
      case TensorKind::kBias:
        return at::zeros(slot.shape, float32);
      case TensorKind::kNorm:
        return at::ones(slot.shape, float32);
      case TensorKind::kEmbedding:
        return normal(slot.shape, init.embedding_std, init.seed, slot.name);
      case TensorKind::kLinear:
      case TensorKind::kConvolution:
        return normal(slot.shape, init.linear_std.value_or(1.0 / std::sqrt(static_cast<double>(slot.width))), init.seed,
                      slot.name);
      case TensorKind::kLora:
        break;  // of attach_lora
    }
    TRIREME_ASSERT(false, "{} is not drawn here", slot.name);
  };
}

Lmm random_model(const ModelConfig& config, const RandomInit& init, const LoadOptions& options) {
  return assemble_model(config, random_weights(init), options);
}

}  // namespace trireme
