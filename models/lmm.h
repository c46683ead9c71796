#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/packed_batch.h"
#include "core/tensor.h"
#include "models/forward_options.h"
#include "models/model_config.h"
#include "models/qwen2_decoder.h"
#include "models/qwen2_vision.h"

namespace trireme {

struct Adapter;
class HubCheckpoint;
struct WeightSource;

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

/// The model of source.config, tensor by tensor; what load_model and random_model share.
Lmm assemble_model(const WeightSource& source, const LoadOptions& options);

/// float32, in a float64 model float64.
c10::ScalarType lora_dtype(const Lmm& model);

/// Hangs the adapter's pairs, unmerged, on the layers they name and returns their number. A second adapter adds to the
/// first. What an adapter's file has of the base is compared with it, as far as the model holds that.
/// throws DataError: no pair, a module that the model lacks, or a copy of the base's embeddings or head with other
///        values than the model's (up to the rounding of the coarser dtype). ShapeError: a pair that does not fit.
int64_t attach_adapter(Lmm& model, const Adapter& adapter);

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

/// Every linear layer by canonical path, in the model's order; pointers stay valid while `model` stays where it is.
std::vector<LinearModule> linear_layers(Lmm& model);
/// Those, and the vision tower's convolution: every layer that LoRA of a file can be on.
std::vector<LinearModule> lora_layers(Lmm& model);
/// Every tensor by canonical name, LoRA matrices included, in the model's order; a tied head is not listed again.
std::vector<Parameter> named_parameters(Lmm& model);

}  // namespace trireme
