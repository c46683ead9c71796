#include "models/export/export.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/config/choice.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/version.h"
#include "models/export/new_folder.h"
#include "models/export/probe.h"
#include "models/export/torchscript.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMarker = "trireme_export.json";
constexpr double kTolerance = 1e-5, kHalfTolerance = 2e-2;

bool has_weights(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "model.safetensors", ignored) ||
         fs::exists(folder / "model.safetensors.index.json", ignored);
}

/// What a model gives for the probe.
struct Outputs {
  torch::Tensor embeddings;  ///< unit rows
  torch::Tensor scores;      ///< of the vocabulary, over the largest of them; undefined without the head
};

Outputs outputs_of(const Model& model, const PackedBatch& batch) {
  Outputs out{embed(model, batch), {}};
  if (!model.head.weight.defined()) return out;
  const torch::Tensor scores = logits_rows(model, batch).to(torch::kFloat32);
  out.scores = scores / scores.abs().max();
  return out;
}

/// Of what was written, read with its head where `like` has one.
Outputs outputs_of_folder(const fs::path& folder, const fs::path* adapter_folder, const Model& like,
                          const PackedBatch& batch) {
  HubCheckpoint checkpoint(folder);
  Model model = load_model(checkpoint, {.head = like.head.weight.defined()});
  if (adapter_folder != nullptr) attach_adapter(model, read_adapter(*adapter_folder, model.config));
  return outputs_of(model, batch);
}

double compared(const torch::Tensor& written, const torch::Tensor& expected, double tolerance, const fs::path& path) {
  require_same_outputs(written, expected, tolerance, path.string());
  return largest_difference(written, expected);
}

double compared(const Outputs& written, const Outputs& expected, double tolerance, const fs::path& path) {
  const double difference = compared(written.embeddings, expected.embeddings, tolerance, path);
  if (!expected.scores.defined()) return difference;
  return std::max(difference, compared(written.scores, expected.scores, tolerance, path));
}

double write_adapter(Model& model, const fs::path& folder, const ExportOptions& options) {
  write_adapter_folder(folder, model, options.adapter);
  check_adapter_folder(folder, model);
  if (!has_weights(options.merged.source)) return 0;
  const PackedBatch probe = probe_batch(model.config);
  return compared(outputs_of_folder(options.merged.source, &folder, model, probe), outputs_of(model, probe), kTolerance,
                  folder);
}

double write_merged(Model& model, const fs::path& folder, const ExportOptions& options) {
  write_merged_folder(folder, model, options.merged);
  const PackedBatch probe = probe_batch(model.config);
  return compared(outputs_of_folder(folder, nullptr, model, probe), outputs_of(model, probe),
                  options.merged.dtype == torch::kFloat32 ? kTolerance : kHalfTolerance, folder);
}

double write_torchscript(Model& model, const fs::path& folder) {
  const fs::path file = folder / "embed_text.pt";
  write_text_embedder(file, model);
  const PackedBatch probe = text_probe_batch(model.config);
  return compared(run_text_embedder(file, probe), embed(model, probe), kTolerance, file);
}

void write_record(const fs::path& folder, ExportFormat format, const ExportOptions& options, double difference) {
  const nlohmann::ordered_json json{{"format", choice_name(format)},
                                    {"created_by", created_by()},
                                    {"base", options.merged.source.string()},
                                    {"largest_difference", difference}};
  AtomicFile file(folder / kMarker);
  file.write(json.dump(2) + "\n");
  file.commit();
}

}  // namespace

Exported export_model(Model& model, ExportFormat format, const fs::path& folder, const ExportOptions& options) {
  const torch::NoGradGuard no_gradient;
  NewFolder output(folder / choice_name(format), kMarker);
  const fs::path& temporary = output.temporary_path();
  double difference = 0;
  switch (format) {
    case ExportFormat::kAdapter:
      difference = write_adapter(model, temporary, options);
      break;
    case ExportFormat::kMerged:
      difference = write_merged(model, temporary, options);
      break;
    case ExportFormat::kTorchscript:
      difference = write_torchscript(model, temporary);
      break;
  }
  write_record(temporary, format, options, difference);
  output.commit();
  return {folder / choice_name(format), difference};
}

}  // namespace trireme
