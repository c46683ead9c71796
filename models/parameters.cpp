#include "models/parameters.h"

namespace trireme {

std::vector<Parameter> parameters_of(const LinearModule& module) {
  Linear& layer = *module.layer;
  std::vector<Parameter> parameters;
  if (layer.weight.defined()) {
    parameters.push_back(
        {module.path + ".weight", layer.weight.detach().narrow(0, module.row_begin, module.rows), &layer.weight});
  }
  if (layer.bias.defined()) {
    parameters.push_back(
        {module.path + ".bias", layer.bias.detach().narrow(0, module.row_begin, module.rows), &layer.bias});
  }
  for (Parameter& parameter : lora_parameters_of(module)) parameters.push_back(std::move(parameter));
  return parameters;
}

std::vector<Parameter> lora_parameters_of(const LinearModule& module) {
  std::vector<Parameter> parameters;
  for (LoraTerm& term : module.layer->lora) {
    if (term.row_begin != module.row_begin) continue;
    parameters.push_back({module.path + ".lora_A.weight", term.a.detach(), &term.a});
    parameters.push_back({module.path + ".lora_B.weight", term.b.detach(), &term.b});
  }
  return parameters;
}

}  // namespace trireme
