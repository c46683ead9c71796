#pragma once

#include <string>

#include "core/tensor.h"

namespace trireme {

/// "[32, 768]", for error messages.
std::string shape_string(c10::IntArrayRef sizes);
/// "[32, 768] float32", or "undefined".
std::string shape_string(const torch::Tensor& tensor);
/// "float32", "bfloat16", "int64", ..: PyTorch's and NumPy's names, the ones files and options use.
std::string dtype_name(c10::ScalarType dtype);

}  // namespace trireme
