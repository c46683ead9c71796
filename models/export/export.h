#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/export/adapter_folder.h"
#include "models/export/merged_check.h"
#include "models/export/merged_folder.h"
#include "models/lmm.h"

namespace trireme {

enum class ExportFormat { kAdapter, kMerged, kTorchscript };
constexpr auto choice_names(ExportFormat) {
  return std::to_array<std::pair<ExportFormat, std::string_view>>({{ExportFormat::kAdapter, "adapter"},
                                                                   {ExportFormat::kMerged, "merged"},
                                                                   {ExportFormat::kTorchscript, "torchscript"}});
}

struct ExportOptions {
  AdapterExport adapter;
  MergedExport merged;
};

/// What was written, and how far what it gives for the probe is from what the model gives, in the largest element.
struct Exported {
  std::filesystem::path path;
  double difference = 0;
  TensorAccount tensors;
};
/// For a person, on one line: "338 tensors: 142 as in the base, 196 LoRA merged in; left out: lm_head.weight (..)".
std::string text_of(const TensorAccount& tensors);

/// Writes one form of the model, reads it back as a user would, holds every tensor in against every tensor out, and
/// compares what both give for a probe: embeddings, and the vocabulary's scores over the largest of them where there is
/// a head. Only then it puts it in place: FOLDER/adapter, FOLDER/merged, FOLDER/torchscript/embed_text.pt. Beside it a
/// file trireme_export.json says what it was made of, and what became of every tensor. The model is in float32 on the
/// CPU; a head that it was loaded without is taken from merged.source.
///   adapter      onto the base read anew from merged.source; skipped where the source has no weights (a model trained
///                from scratch), whose pairs are compared all the same
///   merged       bars: 1e-5 an element in float32, 2e-2 in bfloat16 and float16
///   torchscript  text alone
/// throws ConfigError: adapter of a model without LoRA. DataError: what was written differs; disk full; the folder
///        holds other files.
Exported export_model(Lmm& model, ExportFormat format, const std::filesystem::path& folder,
                      const ExportOptions& options);

}  // namespace trireme
