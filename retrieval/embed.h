#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/config/field_count.h"
#include "core/dist/communicator.h"
#include "data/image/image.h"
#include "data/loader/packer.h"
#include "data/prompt/chat.h"

namespace trireme {

/// Of weights and activations; norms, softmax and everything after the last hidden state are float32 in both.
enum class ComputeDtype { kFloat32, kBfloat16 };
constexpr auto choice_names(ComputeDtype) {
  return std::to_array<std::pair<ComputeDtype, std::string_view>>(
      {{ComputeDtype::kFloat32, "float32"}, {ComputeDtype::kBfloat16, "bfloat16"}});
}

/// Of the embeddings in the file.
enum class StoreDtype { kFloat32, kFloat16 };
constexpr auto choice_names(StoreDtype) {
  return std::to_array<std::pair<StoreDtype, std::string_view>>(
      {{StoreDtype::kFloat32, "float32"}, {StoreDtype::kFloat16, "float16"}});
}

/// What `trireme embed` is asked to do.
struct EmbedOptions {
  std::filesystem::path model, records, out;
  std::optional<std::filesystem::path> adapter, image_root, instructions;
  int64_t prompt_number = 1;
  std::string system_prompt = std::string(kQwenSystemPrompt);
  RopeMode rope_mode = RopeMode::kMrope;
  ComputeDtype dtype = ComputeDtype::kFloat32;
  StoreDtype store = StoreDtype::kFloat32;
  AlphaMode alpha = AlphaMode::kWhite;
  std::optional<int64_t> min_pixels, max_pixels;
  int64_t block_records = 32;
  int64_t batch_tokens = 8192;
  int64_t loader_threads = 1;

  /// Paths are left out of config_sha256: the file names the weights and the adapter by the hashes of their contents.
  template <class V>
  void describe(V& v) {
    v.field("model", model, "Folder of a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint as the hub has it.")
        .required()
        .no_effect_on_values();
    v.field("records", records, "jsonl file: plain {id, txt, img_path}, or M-BEIR queries or candidates.")
        .required()
        .no_effect_on_values();
    v.field("out", out, "HDF5 file to write; replaced only on success.").required().no_effect_on_values();
    v.field("adapter", adapter, "Folder of a PEFT LoRA adapter for the model.").no_effect_on_values();
    v.field("image_root", image_root, "Folder that image paths are relative to; needed when a record has an image.")
        .no_effect_on_values();
    v.field("instructions", instructions, "M-BEIR's query_instructions.tsv; needed for M-BEIR queries.")
        .no_effect_on_values();
    v.field("prompt_number", prompt_number, "Which instruction of a query's kind is used, from 1.").at_least(1);
    v.field("system_prompt", system_prompt, "System turn of the chat frame.");
    v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA's Qwen2-VL checkpoints were trained.");
    v.field("dtype", dtype, "Weights and activations.");
    v.field("store", store, "Embeddings in the file.");
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
};
static_assert(field_count<EmbedOptions>() == 17, "describe() must list every field");

/// What this rank did and how long each phase took. Seconds on the wall clock.
struct EmbedReport {
  int64_t records_global = 0;
  int64_t records = 0, tokens = 0, images = 0, batches = 0;  ///< this rank's
  double prepare_s = 0;                                      ///< checking the inputs, reading weights
  double embed_s = 0;                                        ///< first batch asked for to last row written
  double data_wait_s = 0;                                    ///< of embed_s: waiting for the loader
};

/// Embeds every record of a jsonl file with a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint and writes one HDF5 file, rows
/// in the file's order, whatever the number of ranks. Everything about the inputs is checked before weights are read.
/// Records stream through: memory does not grow with their number (24 bytes each apart).
/// progress: called after each batch with the records that this rank has done, and has in all.
/// config_sha256: over the resolved options that change values; written into the file.
/// collective: every rank enters. throws what its parts throw; on any throw no output file is left behind.
EmbedReport embed_records(const EmbedOptions& options, const std::string& config_sha256, Communicator& communicator,
                          const std::function<void(int64_t done, int64_t of)>& progress);

}  // namespace trireme
