#include "trainers/preflight.h"

#include <algorithm>

#include <fmt/format.h>

namespace trireme {
namespace {

constexpr double kMebibyte = 1 << 20;

int64_t bytes_of(const NamedTensors& tensors) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace

std::string MemoryByCategory::text() const {
  return fmt::format(
      "weights {:.0f} MiB, gradients {:.0f} MiB, optimiser {:.0f} MiB, activations and the rest {:.0f} MiB",
      static_cast<double>(weights) / kMebibyte, static_cast<double>(gradients) / kMebibyte,
      static_cast<double>(optimizer) / kMebibyte, static_cast<double>(rest) / kMebibyte);
}

MemoryByCategory memory_by_category(Lmm& model, const Optimizer& optimizer, int64_t peak_bytes) {
  MemoryByCategory memory;
  for (const Parameter& parameter : named_parameters(model)) {
    memory.weights += static_cast<int64_t>(parameter.value.nbytes());
    if (parameter.storage->requires_grad()) memory.gradients += static_cast<int64_t>(parameter.value.nbytes());
  }
  memory.optimizer = bytes_of(optimizer.state());
  memory.rest = std::max<int64_t>(0, peak_bytes - memory.weights - memory.gradients - memory.optimizer);
  return memory;
}

}  // namespace trireme
