#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/config/report.h"
#include "core/tensor.h"
#include "models/tensors.h"

namespace trireme {

class FieldList;

enum class TrainableParts { kAll, kLora, kNamed };
constexpr auto choice_names(TrainableParts) {
  return std::to_array<std::pair<TrainableParts, std::string_view>>(
      {{TrainableParts::kAll, "all"}, {TrainableParts::kLora, "lora"}, {TrainableParts::kNamed, "named"}});
}

/// [trainable] Which tensors of the model a run trains; all others stay as they were read.
struct TrainableConfig {
  TrainableParts parts = TrainableParts::kLora;
  std::vector<std::string> names;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// One line of trainable.json.
struct TensorStatus {
  std::string name;  ///< canonical (models/weights/tensor_names.h)
  std::vector<int64_t> shape;
  std::string dtype;
  bool trainable = false;
  std::string lora_target;  ///< the module that a LoRA matrix belongs to; "" for other tensors
};

/// A leaf for the optimiser. The model may hold several of a checkpoint's tensors fused in one (q, k and v; gate and
/// up): it is one leaf, and `name` then shows all: model.layers.0.self_attn.{q_proj,k_proj,v_proj}.weight.
struct TrainableTensor {
  std::string name;
  torch::Tensor tensor;
  std::vector<std::string> parts;  ///< canonical names of what it holds, in order
};

/// Makes exactly the configured tensors ask for gradients.
/// throws ConfigError: lora without LoRA in the model; an entry of `names` that matches nothing; one that matches a
///        part of a fused tensor and not the rest (names them); DataError: an entry that is no regular expression.
void set_trainable(const ModelTensors& model, const TrainableConfig& config);

/// Every tensor of the model as it stands, in the model's order.
std::vector<TensorStatus> tensor_statuses(const ModelTensors& model);

/// Refuses to start a run whose tensors are not what its config says. throws ConfigError: names the first tensors that
/// train and should not, or should and do not, and their number.
void require_trainable(const ModelTensors& model, const TrainableConfig& config);

/// The leaves that ask for gradients, in the model's order; the order is the same on every rank.
std::vector<TrainableTensor> trainable_tensors(const ModelTensors& model);

/// Whether a tensor of the vision tower or its merger asks for gradients.
bool vision_trains(const ModelTensors& model);

}  // namespace trireme
