#include "models/export/export.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/config/choice.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "core/io/safetensors.h"
#include "core/json.h"
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

/// The head that the model was loaded without, where the base's files have one: scores are compared too, and LoRA on it
/// is merged.
void complete_head(Lmm& model, const fs::path& source) {
  constexpr std::string_view kHead = "lm_head.weight";
  if (model.head.weight.defined() || !has_weights(source)) return;
  HubCheckpoint checkpoint(source);
  const DecoderConfig& c = model.config.decoder;
  if (!checkpoint.has(kHead)) return;
  model.head.weight =
      checkpoint.take(kHead, {c.vocab_size, c.hidden_size}).to(model.device, model.dtype, false, /*copy=*/true);
}

/// What a model gives for the probe.
struct Outputs {
  torch::Tensor embeddings;  ///< unit rows
  torch::Tensor scores;      ///< of the vocabulary, over the largest of them; undefined without the head
};

Outputs outputs_of(const Lmm& model, const PackedBatch& batch) {
  Outputs out{embed(model, batch), {}};
  if (!model.head.weight.defined()) return out;
  const torch::Tensor scores = logits_rows(model, batch).to(torch::kFloat32);
  out.scores = scores / scores.abs().max();
  return out;
}

/// Of what was written, read with its head where `like` has one.
Outputs outputs_of_folder(const fs::path& folder, const fs::path* adapter_folder, const Lmm& like,
                          const PackedBatch& batch) {
  HubCheckpoint checkpoint(folder);
  Lmm model = load_model(checkpoint, {.head = like.head.weight.defined()});
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

double write_adapter(Lmm& model, const fs::path& folder, const ExportOptions& options, TensorAccount& tensors) {
  write_adapter_folder(folder, model, options.adapter);
  check_adapter_folder(folder, model);
  const SafetensorsFile adapter(folder / "adapter_model.safetensors");
  for (const SafetensorsEntry& entry : adapter.entries()) tensors.written.emplace(entry.name, "LoRA");
  if (!has_weights(options.merged.source)) return 0;
  const PackedBatch probe = probe_batch(model.config);
  return compared(outputs_of_folder(options.merged.source, &folder, model, probe), outputs_of(model, probe), kTolerance,
                  folder);
}

double write_merged(Lmm& model, const fs::path& folder, const ExportOptions& options, TensorAccount& tensors) {
  write_merged_folder(folder, model, options.merged);
  tensors = check_merged_folder(folder, model, options.merged);
  const PackedBatch probe = probe_batch(model.config);
  return compared(outputs_of_folder(folder, nullptr, model, probe), outputs_of(model, probe),
                  options.merged.dtype == torch::kFloat32 ? kTolerance : kHalfTolerance, folder);
}

double write_torchscript(Lmm& model, const fs::path& folder, TensorAccount& tensors) {
  const fs::path file = folder / "embed_text.pt";
  write_text_embedder(file, model);
  for (const Parameter& parameter : named_parameters(model)) {
    const bool vision = sees_pictures(parameter.part), head = parameter.part == ModelPart::kHead;
    if (!vision && !head) {
      tensors.written.emplace(parameter.name, "in embed_text.pt");
    } else {
      tensors.left_out.emplace(parameter.name, vision ? "pictures are not part of it" : "embeddings need no head");
    }
  }
  const PackedBatch probe = text_probe_batch(model.config);
  return compared(run_text_embedder(file, probe), embed(model, probe), kTolerance, file);
}

void write_record(const fs::path& folder, ExportFormat format, const ExportOptions& options, const Exported& exported) {
  const nlohmann::ordered_json json{
      {"format", choice_name(format)},          {"created_by", created_by()},
      {"base", options.merged.source.string()}, {"largest_difference", exported.difference},
      {"tensors", exported.tensors.written},    {"left_out", exported.tensors.left_out}};
  write_text_file(folder / kMarker, dump_json(json, 2, BrokenUtf8::kReplaced) + "\n");
}

/// "5 as in the base, 2 trained".
std::string counted(const std::map<std::string, std::string>& kind_of) {
  std::map<std::string, int64_t> counts;
  for (const auto& [name, kind] : kind_of) ++counts[kind];
  std::vector<std::string> parts;
  for (const auto& [kind, count] : counts) parts.push_back(fmt::format("{} {}", count, kind));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string text_of(const TensorAccount& tensors) {
  std::string text = fmt::format("{} tensors: {}", tensors.written.size(), counted(tensors.written));
  if (tensors.left_out.empty()) return text;
  const auto& [name, reason] = *tensors.left_out.begin();
  if (tensors.left_out.size() == 1) return text + fmt::format("; left out: {} ({})", quote_text(name), reason);
  return text + fmt::format("; left out: {} ({})", tensors.left_out.size(), counted(tensors.left_out));
}

Exported export_model(Lmm& model, ExportFormat format, const fs::path& folder, const ExportOptions& options) {
  const torch::NoGradGuard no_gradient;
  NewFolder output(folder / choice_name(format), kMarker);
  const fs::path& temporary = output.temporary_path();
  complete_head(model, options.merged.source);
  Exported exported{folder / choice_name(format), 0, {}};
  switch (format) {
    case ExportFormat::kAdapter:
      exported.difference = write_adapter(model, temporary, options, exported.tensors);
      break;
    case ExportFormat::kMerged:
      exported.difference = write_merged(model, temporary, options, exported.tensors);
      break;
    case ExportFormat::kTorchscript:
      exported.difference = write_torchscript(model, temporary, exported.tensors);
      break;
  }
  write_record(temporary, format, options, exported);
  output.commit();
  return exported;
}

}  // namespace trireme
