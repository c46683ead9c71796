#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace trireme {

std::string shape_string(c10::IntArrayRef sizes) { return fmt::format("[{}]", fmt::join(sizes, ", ")); }

std::string shape_string(const torch::Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  return fmt::format("{} {}", shape_string(tensor.sizes()), dtype_name(tensor.scalar_type()));
}

std::string dtype_name(c10::ScalarType dtype) {
  switch (dtype) {
    case torch::kFloat32:
      return "float32";
    case torch::kFloat64:
      return "float64";
    case torch::kFloat16:
      return "float16";
    case torch::kBFloat16:
      return "bfloat16";
    case torch::kInt64:
      return "int64";
    case torch::kInt32:
      return "int32";
    case torch::kInt16:
      return "int16";
    case torch::kInt8:
      return "int8";
    case torch::kUInt8:
      return "uint8";
    case torch::kBool:
      return "bool";
    default:
      return c10::toString(dtype);
  }
}

}  // namespace trireme
