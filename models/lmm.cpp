#include "models/lmm.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "core/shape.h"
#include "models/nn/grad_mode.h"
#include "models/nn/rotary.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {
namespace {

bool has_images(const PackedBatch& batch) { return batch.patches.defined() && batch.patches.size(0) > 0; }

std::vector<int64_t> values_of(const torch::Tensor& cpu_int64) {
  const auto dense = cpu_int64.contiguous();
  const int64_t* data = dense.const_data_ptr<int64_t>();
  return {data, data + dense.numel()};
}

void require_head(const Lmm& model) {
  TRIREME_CHECK(model.head.weight.defined(), ConfigError, "model",
                "vocabulary scores need the head; got a model loaded without it; set LoadOptions::head.");
}

/// A number for each token, the same whatever it is packed with: its sequence's, then four times its place in it, so
/// that the four patches behind an image token have numbers of their own.
DropoutRows token_rows(const DropoutContext& context, const PackedBatch& batch) {
  constexpr int64_t kPlaceBits = 23, kMaxSequence = int64_t{1} << 40;
  const auto bounds = batch.cu_seqlens.accessor<int64_t, 1>();
  const int64_t sequences = bounds.size(0) - 1;
  TRIREME_CHECK(context.sequence_ids.defined() && context.sequence_ids.is_cpu() &&
                    context.sequence_ids.scalar_type() == torch::kInt64 && context.sequence_ids.dim() == 1 &&
                    context.sequence_ids.size(0) == sequences,
                ShapeError, "dropout",
                "sequence_ids [{}] int64 on the CPU required, one per sequence; got {}; give each "
                "sequence its number in the step's global batch.",
                sequences, shape_string(context.sequence_ids));
  const auto ids = context.sequence_ids.accessor<int64_t, 1>();
  std::vector<int64_t> numbers;
  numbers.reserve(batch.tokens.size(0));
  for (int64_t i = 0; i < sequences; ++i) {
    TRIREME_CHECK(ids[i] >= 0 && ids[i] < kMaxSequence, ShapeError, "dropout",
                  "sequence_ids must lie in 0 .. 2^40-1; got {} at {}; number the step's sequences.", ids[i], i);
    for (int64_t place = 0; place < bounds[i + 1] - bounds[i]; ++place) {
      numbers.push_back((ids[i] << kPlaceBits) + 4 * place);
    }
  }
  return {context.seed, context.step, at::tensor(numbers, at::TensorOptions(torch::kInt64))};
}

std::optional<DropoutRows> token_rows(const ForwardOptions& options, const PackedBatch& batch) {
  if (!options.dropout) return std::nullopt;
  return token_rows(*options.dropout, batch);
}

torch::Tensor encode(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options) {
  VisionOptions vision{token_rows(options, batch), options.recompute_blocks};
  if (vision.dropout) {
    vision.dropout->row_ids = vision.dropout->row_ids.index_select(0, batch.image_rows.cpu());
  }
  return encode_images(*model.vision, *model.config.vision, batch.patches, batch.grid, vision);
}

}  // namespace

Lmm assemble_model(const ModelConfig& config, const TakeTensor& take, const LoadOptions& options) {
  TRIREME_CHECK(c10::isFloatingType(options.dtype), ConfigError, "model",
                "a floating-point dtype required; got {}; choose float32 or bfloat16.", dtype_name(options.dtype));
  Lmm model = empty_lmm(config);
  model.dtype = options.dtype;
  model.device = options.device;
  ModelTensors tensors(model);
  if (!options.head) std::erase_if(tensors.slots, [](const auto& slot) { return slot.part == ModelPart::kHead; });
  load_tensors(tensors, take);
  if (config.decoder.tie_word_embeddings) model.head.weight = model.decoder.embed_tokens;
  return model;
}

Lmm load_model(HubCheckpoint& checkpoint, const LoadOptions& options) {
  const auto take = [&](const TensorSlot& slot) { return checkpoint.take(slot.name, slot.shape); };
  Lmm model = assemble_model(checkpoint.config(), take, options);
  checkpoint.require_all_taken();
  return model;
}

torch::Tensor image_features(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options) {
  check_batch(model.config, batch);
  TRIREME_CHECK(has_images(batch), ShapeError, "model",
                "a batch with images required; got none; do not ask for features.");
  return encode(model, batch, options);
}

torch::Tensor embedded_tokens(const Lmm& model, const PackedBatch& batch, const torch::Tensor& features) {
  auto hidden = at::embedding(model.decoder.embed_tokens, batch.tokens);
  if (!features.defined()) return hidden;
  if (records_gradient(hidden, features)) return hidden.index_copy(0, batch.image_rows, features);
  return hidden.index_copy_(0, batch.image_rows, features);
}

torch::Tensor hidden_rows(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options) {
  if (options.features.defined()) {
    check_batch_with_features(model.config, batch, options.features);
  } else {
    check_batch(model.config, batch);
  }
  const DecoderConfig& c = model.config.decoder;
  auto features = options.features;
  if (has_images(batch) && !features.defined()) features = encode(model, batch, options);
  const DecoderPass pass{c,
                         decoder_rotary_table(batch.position_ids, c.mrope_section, c.head_dim, c.rope_theta),
                         make_seqlens(values_of(batch.cu_seqlens), batch.tokens.device()),
                         token_rows(options, batch),
                         batch.rows,
                         options.recompute_blocks};
  return decode_rows(model.decoder, pass, embedded_tokens(model, batch, features));
}

torch::Tensor vocabulary_logits(const Lmm& model, const torch::Tensor& rows) {
  require_head(model);
  return linear(rows, model.head);
}

torch::Tensor vocabulary_logits(const Lmm& model, const torch::Tensor& rows, std::span<const int64_t> tokens) {
  constexpr std::size_t kMinColumns = 16;  // a product of fewer may depend, in its last bits, on the rows beside it
  require_head(model);
  std::vector<int64_t> ids(tokens.begin(), tokens.end());
  const auto count = static_cast<int64_t>(ids.size());
  TRIREME_ASSERT(count > 0, "{} tokens", count);
  ids.resize(std::max(kMinColumns, ids.size()), ids.front());
  const auto index = at::tensor(ids, at::TensorOptions(torch::kInt64)).to(model.device);
  if (!model.head.lora.empty()) return linear(rows, model.head).index_select(1, index.narrow(0, 0, count));
  return linear(rows, {model.head.weight.index_select(0, index), {}, {}}).narrow(1, 0, count);
}

torch::Tensor logits_rows(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options) {
  require_head(model);
  return vocabulary_logits(model, hidden_rows(model, batch, options));
}

torch::Tensor embed(const Lmm& model, const PackedBatch& batch, const ForwardOptions& options) {
  constexpr double kMinNorm = 1e-12;
  auto rows = hidden_rows(model, batch, options);
  if (rows.scalar_type() != torch::kFloat64) rows = rows.to(torch::kFloat32);
  return rows / at::linalg_vector_norm(rows, 2, {-1}, /*keepdim=*/true).clamp_min(kMinNorm);
}

}  // namespace trireme
