#include "models/nn/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"

namespace trireme {
namespace {

/// theta^(-2 i / width), i = 0 .. width / 2 - 1, by the operations and in the precision that transformers uses.
torch::Tensor inverse_frequencies(int64_t width, double theta, c10::Device device) {
  const auto exponents = at::arange(0, width, 2, at::TensorOptions(torch::kFloat32)) / width;
  return at::pow(theta, exponents).reciprocal().to(device);
}

RotaryTable table_of(const torch::Tensor& angles) { return {at::cos(angles), at::sin(angles)}; }

}  // namespace

RotaryTable decoder_rotary_table(const torch::Tensor& position_ids, const std::vector<int64_t>& sections,
                                 int64_t head_dim, double theta) {
  const auto frequencies = inverse_frequencies(head_dim, theta, position_ids.device());
  const auto positions = position_ids.to(torch::kFloat32);
  if (sections.empty()) return table_of(positions[0].unsqueeze(1) * frequencies);
  std::vector<torch::Tensor> angles;
  int64_t begin = 0;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const auto axis = static_cast<int64_t>(i % 3);
    angles.push_back(positions[axis].unsqueeze(1) * frequencies.narrow(0, begin, sections[i]));
    begin += sections[i];
  }
  TRIREME_ASSERT(begin == head_dim / 2, "sections cover {} of {} frequencies", begin, head_dim / 2);
  return table_of(at::cat(angles, 1));
}

RotaryTable vision_rotary_table(const torch::Tensor& patch_positions, int64_t head_dim) {
  constexpr double kTheta = 10000.0;
  const auto frequencies = inverse_frequencies(head_dim / 2, kTheta, patch_positions.device());
  const auto positions = patch_positions.to(torch::kFloat32).unsqueeze(2);
  return table_of(at::cat({positions[0] * frequencies, positions[1] * frequencies}, 1));
}

torch::Tensor rotate(const torch::Tensor& x, const RotaryTable& table) {
  const bool narrow = x.scalar_type() == torch::kBFloat16 || x.scalar_type() == torch::kFloat16;
  const auto wide = narrow ? x.to(torch::kFloat32) : x;
  const int64_t half = x.size(-1) / 2;
  const auto low = wide.narrow(-1, 0, half), high = wide.narrow(-1, half, half);
  const auto cos = table.cos.unsqueeze(1), sin = table.sin.unsqueeze(1);
  return at::cat({low * cos - high * sin, high * cos + low * sin}, -1).to(x.scalar_type());
}

}  // namespace trireme
