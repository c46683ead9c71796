#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/nn/linear.h"

namespace trireme {

/// A linear layer under its canonical module path (models/weights/tensor_names.h): rows [row_begin, row_begin + rows)
/// of `layer`, which may hold several fused. What LoRA attaches to.
struct LinearModule {
  std::string path;
  Linear* layer;
  int64_t row_begin, rows, in_features;
};

/// A tensor of the model under its canonical name and in the shape the checkpoint has it. `value` shares memory with
/// `storage`, the tensor the forward pass reads and the one to ask gradients of: the whole of it, or rows of a fused
/// one, or another shape of it. `value` itself never asks for gradients: it is for reading and writing.
struct Parameter {
  std::string name;
  torch::Tensor value;
  torch::Tensor* storage;
};

/// A linear module's weight, its bias where it has one, and its LoRA matrices (lora_A.weight, lora_B.weight).
std::vector<Parameter> parameters_of(const LinearModule& module);
/// Its LoRA matrices alone.
std::vector<Parameter> lora_parameters_of(const LinearModule& module);

}  // namespace trireme
