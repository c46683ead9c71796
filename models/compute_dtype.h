#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "core/tensor.h"

namespace trireme {

/// Of weights and activations; norms, softmax and everything after the last hidden state are float32 in both.
enum class ComputeDtype { kFloat32, kBfloat16 };
constexpr auto choice_names(ComputeDtype) {
  return std::to_array<std::pair<ComputeDtype, std::string_view>>(
      {{ComputeDtype::kFloat32, "float32"}, {ComputeDtype::kBfloat16, "bfloat16"}});
}
constexpr c10::ScalarType torch_dtype(ComputeDtype dtype) {
  return dtype == ComputeDtype::kFloat32 ? torch::kFloat32 : torch::kBFloat16;
}

}  // namespace trireme
