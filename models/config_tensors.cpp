#include "models/config_tensors.h"

#include "models/lmm.h"

namespace trireme {
namespace {

std::map<std::string, LinearModule> by_path(std::vector<LinearModule> modules) {
  std::map<std::string, LinearModule> by_path;
  for (LinearModule& module : modules) {
    module.layer = nullptr;  // the model that it is of ends here
    by_path.emplace(module.path, module);
  }
  return by_path;
}

}  // namespace

std::map<std::string, std::vector<int64_t>> tensor_shapes(const ModelConfig& config) {
  Lmm model = empty_lmm(config);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const TensorSlot& slot : ModelTensors(model).slots) {
    if (!slot.tied) shapes.emplace(slot.name, slot.shape);
  }
  return shapes;
}

std::map<std::string, LinearModule> linear_modules(const ModelConfig& config) {
  Lmm model = empty_lmm(config);
  return by_path(linear_layers(model));
}

std::map<std::string, LinearModule> lora_modules(const ModelConfig& config) {
  Lmm model = empty_lmm(config);
  return by_path(lora_layers(model));
}

StoredShapes stored_shapes(const LinearModule& layer, int64_t rank) {
  StoredShapes shapes{layer.weight_shape, layer.weight_shape, std::vector<int64_t>(layer.weight_shape.size(), 1)};
  shapes.a[0] = shapes.b[1] = rank;
  shapes.b[0] = layer.rows;
  return shapes;
}

int64_t decoder_lora_parameters_per_rank(const ModelConfig& config) {
  int64_t sum = 0;
  for (const auto& [path, module] : linear_modules(config)) {
    if (module.part == ModelPart::kDecoder) sum += module.in_features + module.rows;
  }
  return sum;
}

}  // namespace trireme
