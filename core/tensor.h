#pragma once

/// The tensor, its methods and operators (+, *, ..), its dtypes and devices: all of libtorch that a header of ours may
/// need, at an eighth of what <torch/types.h> costs, which brings every function there is. A .cpp file adds those that
/// it calls: <ATen/ops/cat.h> for at::cat.

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

namespace trireme::dtypes {
constexpr auto kUInt8 = at::kByte;
constexpr auto kInt8 = at::kChar;
constexpr auto kInt16 = at::kShort;
constexpr auto kInt32 = at::kInt;
constexpr auto kInt64 = at::kLong;
constexpr auto kFloat16 = at::kHalf;
constexpr auto kFloat32 = at::kFloat;
constexpr auto kFloat64 = at::kDouble;
using Dtype = at::ScalarType;
}  // namespace trireme::dtypes

/// The names that <torch/types.h> gives them. By way of directives, so that its own declarations go first where a file
/// includes it too.
namespace torch {
using namespace at;               // NOLINT
using namespace trireme::dtypes;  // NOLINT
}  // namespace torch
