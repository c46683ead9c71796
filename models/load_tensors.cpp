#include "models/load_tensors.h"

#include <ATen/ops/empty.h>

namespace trireme {

torch::Tensor load_tensor(const WeightSource& source, const std::string& name, at::IntArrayRef shape,
                          const LoadOptions& options) {
  return source.take(name, shape).to(options.device, options.dtype, /*non_blocking=*/false, /*copy=*/true);
}

Linear load_linear(const WeightSource& source, const std::vector<LinearRows>& parts, int64_t in_features, Bias bias,
                   const LoadOptions& options) {
  int64_t out_features = 0;
  for (const LinearRows& part : parts) out_features += part.rows;
  const auto tensor_options = at::TensorOptions(options.dtype).device(options.device);
  Linear layer;
  layer.weight = at::empty({out_features, in_features}, tensor_options);
  if (bias == Bias::kPresent) layer.bias = at::empty({out_features}, tensor_options);
  int64_t begin = 0;
  for (const LinearRows& part : parts) {
    layer.weight.narrow(0, begin, part.rows).copy_(source.take(part.path + ".weight", {part.rows, in_features}));
    if (bias == Bias::kPresent) {
      layer.bias.narrow(0, begin, part.rows).copy_(source.take(part.path + ".bias", {part.rows}));
    }
    begin += part.rows;
  }
  return layer;
}

}  // namespace trireme
