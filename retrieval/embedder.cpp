#include "retrieval/embedder.h"

#include <chrono>

#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "core/config/field_list.h"
#include "models/batch_device.h"

namespace trireme {

void EmbedderConfig::describe(FieldList& v) {
  v.field("model", model, "Folder of a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint as the hub has it.")
      .required()
      .no_effect_on_values();
  v.field("adapter", adapter, "Folder of a PEFT LoRA adapter for the model.").no_effect_on_values();
  v.field("prompt", prompt, "What stands around text and picture.");
  v.field("system_prompt", system_prompt, "System turn of the chat frame; the bare prompt has none.");
  v.field("text_tokens", text_tokens,
          "A record's text is cut after so many tokens, the prompt never; default: not cut.")
      .at_least(1);
  v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA's Qwen2-VL checkpoints were trained.");
  v.field("dtype", dtype, "Weights and activations.");
  v.field("alpha", alpha, "Transparent pictures: composited on white, or colour values with the alpha forgotten.");
  v.field("min_pixels", min_pixels, "Smaller pictures are enlarged to it; default: the checkpoint's.").positive();
  v.field("max_pixels", max_pixels, "Larger pictures are shrunk to it; default: the checkpoint's.").positive();
  v.field("block_records", block_records, "Consecutive records dealt to a rank at a time.")
      .at_least(1)
      .no_effect_on_values();
  v.field("batch_tokens", batch_tokens, "A batch ends before it exceeds so many tokens; bounds memory.")
      .at_least(1)
      .no_effect_on_values();
  v.field("loader_threads", loader_threads, "Threads that decode, tokenise and pack.")
      .at_least(1)
      .no_effect_on_values();
}
static_assert(field_count<EmbedderConfig>() == 13, "describe() must list every field");

c10::ScalarType torch_dtype(ComputeDtype dtype) {
  return dtype == ComputeDtype::kFloat32 ? torch::kFloat32 : torch::kBFloat16;
}

namespace {

torch::Tensor embed_on_device(const Model& model, const PackedBatch& batch) {
  return embed(model, on_device(batch, model.device)).cpu();
}

}  // namespace

EmbedCounts embed_share(const Embedder& embedder, const RecordFile& records, const Communicator& communicator,
                        const EmbeddedRows& take, const EmbedProgress& progress) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  RecordLoader loader(records, embedder.prompt, embedder.loader, communicator.rank(), communicator.size());
  EmbedCounts counts;
  const c10::InferenceMode no_gradient;
  while (auto loaded = loader.next()) {
    take(loaded->first_row, loaded->ids, embed_on_device(embedder.model, loaded->batch));
    counts.records += std::ssize(loaded->ids);
    counts.tokens += loaded->batch.tokens.size(0);
    counts.images += loaded->batch.grid.size(0);
    ++counts.batches;
    if (progress) progress(counts.records, loader.records());
  }
  counts.embed_s = std::chrono::duration<double>(Clock::now() - begin).count();
  counts.data_wait_s = loader.waited_s();
  return counts;
}

torch::Tensor embed_in_memory(const Embedder& embedder, const RecordFile& records, Communicator& communicator,
                              const EmbedProgress& progress) {
  torch::Tensor rows = at::zeros({records.size(), embedder.model.config.decoder.hidden_size}, torch::kFloat32);
  embed_share(
      embedder, records, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& embedded) {
        rows.narrow(0, first_row, std::ssize(ids)).copy_(embedded);
      },
      progress);
  // Each row was written by one rank and is zero on the others, so the sum is exact.
  if (communicator.size() > 1) communicator.all_reduce(rows, ReduceOp::kSum).wait();
  return rows;
}

}  // namespace trireme
