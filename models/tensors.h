#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/model_config.h"
#include "models/nn/linear.h"

namespace trireme {

/// What a tensor is: how it is drawn, and whether LoRA can be on it.
enum class TensorKind { kEmbedding, kNorm, kBias, kLinear, kConvolution, kLora };

/// One tensor of a model as the visit_tensors() of its family gives it. All lists of tensors follow from these.
struct TensorSlot {
  std::string name;                 ///< canonical (models/weights/tensor_names.h)
  torch::Tensor* tensor = nullptr;  ///< where the model holds it: what the forward pass reads; undefined before loading
  std::vector<int64_t> shape;       ///< as checkpoints have it
  /// Of *tensor: with the rows of all that are held as one (q, k and v), a convolution's kernel flat.
  std::vector<int64_t> held_shape = {};
  int64_t row_begin = 0;  ///< of its rows in *tensor
  TensorKind kind = TensorKind::kNorm;
  ModelPart part = ModelPart::kDecoder;
  int64_t width = 0;        ///< of the hidden state of the tower that it is in
  Linear* layer = nullptr;  ///< whose weight, bias or LoRA matrix it is
  bool tied = false;        ///< another name for a tensor that was given before
};
using TensorVisitor = std::function<void(const TensorSlot&)>;

enum class Bias { kNone, kPresent };

struct LinearRows {
  std::string path;  ///< canonical module path
  int64_t rows;
};

/// What visit_tensors() is written with: gives the tensors of modules, each under its path, to the visitor.
struct PartVisit {
  const TensorVisitor& visitor;
  ModelPart part;
  int64_t width;
  bool tied = false;

  void embedding(const std::string& path, torch::Tensor& table, int64_t rows) const;               ///< [rows, width]
  void norm(const std::string& path, torch::Tensor& weight, torch::Tensor* bias = nullptr) const;  ///< [width]
  /// The modules, which read the same input, one under the other in one layer. Of each its weight [rows, in], its bias
  /// and, where the layer carries LoRA on its rows, lora_A [r, in] and lora_B [rows, r].
  void linear(Linear& layer, int64_t in_features, Bias bias, const std::vector<LinearRows>& modules) const;
  /// One whose stride is its kernel: a linear layer over flattened patches. kernel: [channels, ..].
  void convolution(Linear& layer, const LinearRows& module, const std::vector<int64_t>& kernel) const;

 private:
  void give(TensorSlot slot) const;
  void give_lora(const std::string& path, Linear& layer, int64_t row_begin) const;
};

/// Any model as the list of its tensors, in its order: what loading, LoRA, training and export see of it. Pointers stay
/// valid while the model stays where it is.
struct ModelTensors {
  template <class Model>
  requires requires(Model& model, const TensorVisitor& visitor) { visit_tensors(model, visitor); }
  ModelTensors(Model& model) : dtype(model.dtype), device(model.device) {  // NOLINT: a model is passed as it is
    visit_tensors(model, TensorVisitor([this](const TensorSlot& slot) { slots.push_back(slot); }));
  }
  c10::ScalarType dtype;
  c10::Device device;
  std::vector<TensorSlot> slots;
};

/// Where a model's tensors come from, one by one: a checkpoint's files, or a random draw. -> slot.shape, any dtype.
using TakeTensor = std::function<torch::Tensor(const TensorSlot& slot)>;

/// Fills every slot that is not tied, in the model's dtype on its device. throws as take.
void load_tensors(const ModelTensors& model, const TakeTensor& take);

/// A tensor of the model under its canonical name and in the shape the checkpoint has it. `value` shares memory with
/// `storage`, the tensor the forward pass reads and the one to ask gradients of: the whole of it, or rows of a fused
/// one, or another shape of it. `value` itself never asks for gradients: it is for reading and writing.
struct Parameter {
  std::string name;
  torch::Tensor value;
  torch::Tensor* storage;
  TensorKind kind;
  ModelPart part;
};
/// Every tensor that is there, LoRA matrices included, in the model's order; tied ones once.
std::vector<Parameter> named_parameters(const ModelTensors& model);

/// A linear layer under its canonical path: rows [row_begin, row_begin + rows) of `layer`, which may hold several
/// fused. What LoRA attaches to.
struct LinearModule {
  std::string path;
  Linear* layer;
  int64_t row_begin, rows, in_features;
  std::vector<int64_t> weight_shape;  ///< as checkpoints have it: [rows, in], of a convolution [rows, channels, ..]
  ModelPart part;
  bool tied;  ///< its weight is another module's
};
/// In the model's order.
std::vector<LinearModule> linear_layers(const ModelTensors& model);
/// Those, and convolutions: every layer that LoRA of a file can be on.
std::vector<LinearModule> lora_layers(const ModelTensors& model);

/// Of LoRA matrices: float32, in a float64 model float64.
c10::ScalarType lora_dtype(const ModelTensors& model);

}  // namespace trireme
