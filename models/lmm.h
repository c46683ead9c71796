#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "models/forward_options.h"
#include "models/load_options.h"
#include "models/model_config.h"
#include "models/qwen2_decoder.h"
#include "models/qwen2_vision.h"

namespace trireme {

class HubCheckpoint;

/// Qwen2-VL, Qwen2.5-VL, or the text-only Qwen2 (no vision tower). All forward functions below are pure: gradients are
/// recorded when grad mode is on and a tensor of the model asks for them; without, kernels without backward are used.
struct Lmm {
  ModelConfig config;
  c10::ScalarType dtype = torch::kFloat32;
  c10::Device device = torch::kCPU;
  Qwen2Decoder decoder;
  std::optional<Qwen2Vision> vision;
  Linear head;  ///< [V, D]; embed_tokens itself where tied; weight undefined when LoadOptions::head was not set
};

/// Copies the weights out of the files into `options.dtype` and checks that nothing is left over.
/// throws DataError, ShapeError: a tensor missing, surplus or of another shape (see HubCheckpoint). ConfigError: dtype.
Lmm load_model(HubCheckpoint& checkpoint, const LoadOptions& options);

/// A model of this configuration, each tensor as `take` gives it; what load_model and random_model share.
Lmm assemble_model(const ModelConfig& config, const TakeTensor& take, const LoadOptions& options);

/// The layers of a model of this configuration, no tensor defined.
Lmm empty_lmm(const ModelConfig& config);
/// The one list of the model's tensors (models/tensors.h): the decoder's, the vision tower's, the head's.
void visit_tensors(Lmm& model, const TensorVisitor& visitor);

/// Refuses a batch that does not fit the model: shapes and dtypes always; values (token ids in the vocabulary, image
/// rows that hold image tokens) when they are on the CPU. Called by the functions below. throws ShapeError.
void check_batch(const ModelConfig& config, const PackedBatch& batch);

/// The same for a batch whose pictures were encoded before: no patches, but features [image_rows, D].
void check_batch_with_features(const ModelConfig& config, const PackedBatch& batch, const torch::Tensor& features);

/// The vision tower alone: [P/4, D] in the model's dtype, one row per image token, in the order of batch.image_rows.
/// options.features is not looked at.
torch::Tensor image_features(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options = {});

/// [T, D] in the model's dtype, the decoder's input: token embeddings, and in the rows of image tokens `features`
/// [batch.image_rows, D].
torch::Tensor embedded_tokens(const Lmm& model, const PackedBatch& batch, const torch::Tensor& features);

/// [N, D] in the model's dtype: the final norm's output at batch.rows.
torch::Tensor hidden_rows(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options = {});

/// rows [N, D] of hidden_rows() -> [N, V] in the model's dtype: the vocabulary's scores.
/// throws ConfigError: loaded without the head.
torch::Tensor vocabulary_logits(const Lmm& model, const torch::Tensor& rows);
/// Those of some tokens alone, in the order named: [N, tokens]; 16 rows of the head are multiplied at least.
torch::Tensor vocabulary_logits(const Lmm& model, const torch::Tensor& rows, std::span<const int64_t> tokens);

/// [N, V] in the model's dtype: the vocabulary scores at batch.rows. throws as vocabulary_logits().
torch::Tensor logits_rows(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options = {});

/// [N, D] float32: hidden_rows scaled to length 1, in float32 from there on.
torch::Tensor embed(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options = {});

}  // namespace trireme
