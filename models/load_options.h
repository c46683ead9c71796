#pragma once

#include "core/tensor.h"

namespace trireme {

struct LoadOptions {
  c10::ScalarType dtype = torch::kFloat32;  ///< of all weights and activations; files of another are converted
  c10::Device device = torch::kCPU;
  bool head = false;  ///< read an untied lm_head too; only logits_rows needs it
};

}  // namespace trireme
