#include "retrieval/embedder.h"

#include <algorithm>
#include <chrono>

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "core/config/field_list.h"
#include "core/distributed/agreement.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/batch_device.h"
#include "retrieval/fingerprint_of.h"

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

namespace {

torch::Tensor embed_on_device(const Lmm& model, const PackedBatch& batch) {
  return embed(model, on_device(batch, model.device)).cpu();
}

}  // namespace

EmbedCounts embed_share(const Embedder& embedder, const RecordFile& records, const Communicator& communicator,
                        const EmbeddedRows& take, const EmbedSkipped& skip, const EmbedProgress& progress) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  RecordLoader loader(records, embedder.prompt, embedder.loader, communicator.rank(), communicator.size());
  EmbedCounts counts;
  const c10::InferenceMode no_gradient;
  while (auto loaded = loader.next()) {
    if (!loaded->ids.empty()) {
      take(loaded->first_row, loaded->ids, embed_on_device(embedder.model, loaded->batch));
      counts.records += std::ssize(loaded->ids);
      counts.tokens += loaded->batch.tokens.size(0);
      counts.images += loaded->batch.grid.size(0);
      counts.pictures += loaded->images;
      ++counts.batches;
    }
    counts.skipped += std::ssize(loaded->skipped);
    if (skip) std::ranges::for_each(loaded->skipped, skip);
    if (progress) progress(counts.records + counts.skipped, loader.records());
  }
  counts.embed_s = std::chrono::duration<double>(Clock::now() - begin).count();
  counts.data_wait_s = loader.waited_s();
  return counts;
}

namespace {

/// Those of all ranks, ascending.
std::vector<SkippedRow> all_gather_skipped(Communicator& communicator, const std::vector<SkippedRow>& mine) {
  constexpr char kEnd = '\0';  // ids and reasons hold none
  std::string text;
  for (const SkippedRow& each : mine)
    text += fmt::format("{}{}{}{}{}{}", each.row, kEnd, each.id, kEnd, printable(each.reason), kEnd);
  std::vector<SkippedRow> all;
  for (const std::string& of_rank : all_gather_string(communicator, text)) {
    std::size_t at = 0;
    const auto next = [&] {
      const std::size_t begin = at, end = of_rank.find(kEnd, at);
      at = end + 1;
      return of_rank.substr(begin, end - begin);
    };
    while (at < of_rank.size()) {
      const int64_t row = std::stoll(next());
      std::string id = next();
      all.push_back({row, std::move(id), next()});
    }
  }
  std::ranges::sort(all, {}, &SkippedRow::row);
  return all;
}

}  // namespace

EmbeddedFile embed_in_memory(const Embedder& embedder, const RecordFile& records, Communicator& communicator,
                             const EmbedSkipped& skip, const EmbedProgress& progress) {
  std::vector<SkippedRow> skipped;
  torch::Tensor rows = at::zeros({records.size(), embedder.model.config.decoder.hidden_size}, torch::kFloat32);
  const EmbedCounts counts = embed_share(
      embedder, records, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& embedded) {
        rows.narrow(0, first_row, std::ssize(ids)).copy_(embedded);
      },
      [&](const SkippedRow& record) {
        skipped.push_back(record);
        if (skip) skip(record);
      },
      progress);
  // Each row was written by one rank and is zero on the others, so the sum is exact.
  if (communicator.size() > 1) communicator.all_reduce(rows, ReduceOp::kSum).wait();
  const ImageDigest pictures = summed(counts.pictures, communicator);
  if (embedder.loader.on_error == OnDataError::kStop) return {std::move(rows), {}, pictures};
  skipped = all_gather_skipped(communicator, skipped);
  TRIREME_CHECK(std::ssize(skipped) < records.size(), DataError, "embed",
                "a record at least must be readable; got {} that are not, the first: {}; check the pictures and their "
                "folder.",
                skipped.size(), skipped.front().reason);
  if (skipped.empty()) return {std::move(rows), {}, pictures};
  std::vector<int64_t> kept;
  for (int64_t row = 0; row < records.size(); ++row)
    if (!std::ranges::binary_search(skipped, row, {}, &SkippedRow::row)) kept.push_back(row);
  return {at::index_select(rows, 0, at::tensor(kept, torch::kInt64)), std::move(skipped), pictures};
}

}  // namespace trireme
