#include "models/tensors.h"

#include <numeric>

#include <ATen/ops/empty.h>

namespace trireme {
namespace {

/// Of the slot, in checkpoints' shape; shares memory with the tensor held.
torch::Tensor value_of(const TensorSlot& slot) {
  const torch::Tensor held = slot.tensor->detach();
  return slot.shape == slot.held_shape ? held : held.narrow(0, slot.row_begin, slot.shape[0]).view(slot.shape);
}

std::vector<LinearModule> layers_of(const ModelTensors& model, bool convolutions) {
  constexpr std::size_t kWeightLength = std::string_view(".weight").size();
  std::vector<LinearModule> modules;
  for (const TensorSlot& slot : model.slots) {
    if (slot.kind != TensorKind::kLinear && !(convolutions && slot.kind == TensorKind::kConvolution)) continue;
    modules.push_back({slot.name.substr(0, slot.name.size() - kWeightLength), slot.layer, slot.row_begin, slot.shape[0],
                       slot.held_shape[1], slot.shape, slot.part, slot.tied});
  }
  return modules;
}

}  // namespace

void PartVisit::give(TensorSlot slot) const {
  if (slot.held_shape.empty()) slot.held_shape = slot.shape;
  slot.part = part;
  slot.width = width;
  visitor(slot);
}

void PartVisit::embedding(const std::string& path, torch::Tensor& table, int64_t rows) const {
  give({.name = path + ".weight", .tensor = &table, .shape = {rows, width}, .kind = TensorKind::kEmbedding});
}

void PartVisit::norm(const std::string& path, torch::Tensor& weight, torch::Tensor* bias) const {
  give({.name = path + ".weight", .tensor = &weight, .shape = {width}, .kind = TensorKind::kNorm});
  if (bias) give({.name = path + ".bias", .tensor = bias, .shape = {width}, .kind = TensorKind::kBias});
}

void PartVisit::linear(Linear& layer, int64_t in_features, Bias bias, const std::vector<LinearRows>& modules) const {
  int64_t height = 0, begin = 0;
  for (const LinearRows& module : modules) height += module.rows;
  for (const LinearRows& module : modules) {
    give({.name = module.path + ".weight",
          .tensor = &layer.weight,
          .shape = {module.rows, in_features},
          .held_shape = {height, in_features},
          .row_begin = begin,
          .kind = TensorKind::kLinear,
          .layer = &layer,
          .tied = tied});
    if (bias == Bias::kPresent) {
      give({.name = module.path + ".bias",
            .tensor = &layer.bias,
            .shape = {module.rows},
            .held_shape = {height},
            .row_begin = begin,
            .kind = TensorKind::kBias,
            .layer = &layer});
    }
    give_lora(module.path, layer, begin);
    begin += module.rows;
  }
}

void PartVisit::convolution(Linear& layer, const LinearRows& module, const std::vector<int64_t>& kernel) const {
  TensorSlot slot{.name = module.path + ".weight",
                  .tensor = &layer.weight,
                  .shape = {module.rows},
                  .held_shape = {module.rows, c10::multiply_integers(kernel)},
                  .kind = TensorKind::kConvolution,
                  .layer = &layer};
  slot.shape.insert(slot.shape.end(), kernel.begin(), kernel.end());
  give(std::move(slot));
  give_lora(module.path, layer, 0);
}

void PartVisit::give_lora(const std::string& path, Linear& layer, int64_t row_begin) const {
  for (LoraTerm& term : layer.lora) {
    if (term.row_begin != row_begin) continue;
    for (const auto& [name, matrix] : {std::pair(".lora_A.weight", &term.a), std::pair(".lora_B.weight", &term.b)}) {
      give({.name = path + name,
            .tensor = matrix,
            .shape = matrix->sizes().vec(),
            .kind = TensorKind::kLora,
            .layer = &layer});
    }
  }
}

void load_tensors(const ModelTensors& model, const TakeTensor& take) {
  const auto options = at::TensorOptions(model.dtype).device(model.device);
  for (const TensorSlot& slot : model.slots) {
    if (slot.tied) continue;
    const torch::Tensor value = take(slot);
    if (!slot.tensor->defined()) *slot.tensor = at::empty(slot.held_shape, options);
    value_of(slot).copy_(value);
  }
}

std::vector<Parameter> named_parameters(const ModelTensors& model) {
  std::vector<Parameter> parameters;
  for (const TensorSlot& slot : model.slots) {
    if (slot.tied || !slot.tensor->defined()) continue;
    parameters.push_back({slot.name, value_of(slot), slot.tensor, slot.kind, slot.part});
  }
  return parameters;
}

std::vector<LinearModule> linear_layers(const ModelTensors& model) { return layers_of(model, false); }
std::vector<LinearModule> lora_layers(const ModelTensors& model) { return layers_of(model, true); }

c10::ScalarType lora_dtype(const ModelTensors& model) {
  return model.dtype == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

}  // namespace trireme
