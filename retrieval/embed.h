#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "answering/record_model.h"
#include "core/distributed/communicator.h"
#include "retrieval/embedder.h"

namespace trireme {

class FieldList;

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
  OnDataError on_error = OnDataError::kStop;
  bool follow_links = false, allow_modality_mismatch = false;

  void describe(FieldList& v);
};

/// All options of the verb: what config_sha256 is taken over.
struct EmbedVerbConfig {
  RecordModelConfig embedder;
  EmbedOptions embed;

  void describe(FieldList& v);
};

/// What this rank did and how long it took.
struct EmbedReport {
  int64_t records_global = 0, skipped_global = 0;
  int64_t modality_mismatches = 0;       ///< records taken under allow_modality_mismatch
  double prepare_s = 0;                  ///< checking the inputs, reading weights
  EmbedCounts counts{};                  ///< this rank's
  std::vector<std::string> unused = {};  ///< of checkpoint and adapter, with the reason
};

/// Embeds every record of a jsonl file with a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint and writes one HDF5 file, rows
/// in the file's order, whatever the number of ranks. Everything about the inputs is checked before weights are read.
/// Records stream through: memory does not grow with their number (24 bytes each apart).
/// config_sha256: over the resolved options that change values; written into the file.
/// collective: every rank enters. throws what its parts throw; on any throw no output file is left behind.
EmbedReport embed_records(const RecordModelConfig& config, const EmbedOptions& options,
                          const std::string& config_sha256, Communicator& communicator, const EmbedProgress& progress,
                          c10::Device device = c10::kCPU, const EmbedSkipped& skipped = {});

}  // namespace trireme
