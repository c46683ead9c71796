#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/config/field_count.h"
#include "core/dist/communicator.h"
#include "retrieval/embedder.h"

namespace trireme {

/// Of the embeddings in the file.
enum class StoreDtype { kFloat32, kFloat16 };
constexpr auto choice_names(StoreDtype) {
  return std::to_array<std::pair<StoreDtype, std::string_view>>(
      {{StoreDtype::kFloat32, "float32"}, {StoreDtype::kFloat16, "float16"}});
}

c10::ScalarType torch_dtype(StoreDtype dtype);

/// What `trireme embed` embeds, and where to.
struct EmbedOptions {
  std::filesystem::path records, out;
  std::optional<std::filesystem::path> image_root, instructions;
  int64_t prompt_number = 1;
  StoreDtype store = StoreDtype::kFloat32;

  template <class V>
  void describe(V& v) {
    v.field("records", records, "jsonl file: plain {id, txt, img_path}, or M-BEIR queries or candidates.")
        .required()
        .no_effect_on_values();
    v.field("out", out, "HDF5 file to write; replaced only on success.").required().no_effect_on_values();
    v.field("image_root", image_root, "Folder that image paths are relative to; needed when a record has an image.")
        .no_effect_on_values();
    v.field("instructions", instructions, "M-BEIR's query_instructions.tsv; needed for M-BEIR queries.")
        .no_effect_on_values();
    v.field("prompt_number", prompt_number, "Which instruction of a query's kind is used, from 1.").at_least(1);
    v.field("store", store, "Embeddings in the file.");
  }
};
static_assert(field_count<EmbedOptions>() == 6, "describe() must list every field");

/// All options of the verb: what config_sha256 is taken over.
struct EmbedVerbConfig {
  EmbedderConfig embedder;
  EmbedOptions embed;

  template <class V>
  void describe(V& v) {
    v.field("embedder", embedder, "Which weights embed, and how.");
    v.field("embed", embed, "What is embedded, and where to.");
  }
};
static_assert(field_count<EmbedVerbConfig>() == 2, "describe() must list every field");

/// What this rank did and how long it took.
struct EmbedReport {
  int64_t records_global = 0;
  double prepare_s = 0;  ///< checking the inputs, reading weights
  EmbedCounts counts{};  ///< this rank's
};

/// Embeds every record of a jsonl file with a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint and writes one HDF5 file, rows
/// in the file's order, whatever the number of ranks. Everything about the inputs is checked before weights are read.
/// Records stream through: memory does not grow with their number (24 bytes each apart).
/// config_sha256: over the resolved options that change values; written into the file.
/// collective: every rank enters. throws what its parts throw; on any throw no output file is left behind.
EmbedReport embed_records(const EmbedderConfig& embedder, const EmbedOptions& options, const std::string& config_sha256,
                          Communicator& communicator, const EmbedProgress& progress, c10::Device device = c10::kCPU);

}  // namespace trireme
