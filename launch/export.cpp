#include "models/export/export.h"

#include "core/config/config.h"
#include "core/error.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/verbs.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "retrieval/rerank/fusion_config.h"
#include "trainers/run_model.h"

namespace trireme {
namespace {

enum class ExportDtype { kFloat32, kBfloat16, kFloat16 };
constexpr auto choice_names(ExportDtype) {
  return std::to_array<std::pair<ExportDtype, std::string_view>>(
      {{ExportDtype::kFloat32, "float32"}, {ExportDtype::kBfloat16, "bfloat16"}, {ExportDtype::kFloat16, "float16"}});
}

struct ExportVerb {
  struct Options {
    std::optional<std::filesystem::path> run, base, base_adapter, model, adapter, out, fusion;
    std::string checkpoint = "last";
    std::vector<ExportFormat> format = {ExportFormat::kAdapter, ExportFormat::kMerged};
    ExportDtype dtype = ExportDtype::kFloat32;
    AdapterNaming adapter_naming = AdapterNaming::kModern;
    std::optional<std::string> base_name;
    double max_shard_gb = 5;

    void describe(FieldList& v) {
      v.field("run", run, "Run directory to export; or give --model.").placeholder("DIR");
      v.field("checkpoint", checkpoint,
              "Of the run: last, the newest valid one; best, by its validation; or a number of steps.");
      v.field("base", base, "Where the run's base is now; its model.path when not set.").placeholder("DIR");
      v.field("base_adapter", base_adapter, "Where the adapter is now that the run trained on; its model.adapter.")
          .placeholder("DIR");
      v.field("model", model, "Hugging Face folder to export; with --adapter, with its LoRA.").placeholder("DIR");
      v.field("adapter", adapter, "PEFT LoRA adapter on --model.").placeholder("DIR");
      v.field("out", out, "Folder for the forms, one folder each; RUN/export when not set.").placeholder("DIR");
      v.field("format", format, "Which forms.").non_empty();
      v.field("dtype", dtype, "Of the merged weights; the sum is made in float32.");
      v.field("adapter_naming", adapter_naming, "Which class of transformers the adapter's keys are spelled for.");
      v.field("base_name", base_name, "base_model_name_or_path of the adapter; the base's absolute path when not set.");
      v.field("fusion", fusion,
              "Weights of reranking to put beside them; default: the run's fusion.yaml, if it has one.")
          .placeholder("FILE");
      v.field("max_shard_gb", max_shard_gb, "Largest size of a file of merged weights, 10^9 bytes.").positive();
    }
    void check(Problems& problems) const {
      if (run.has_value() == model.has_value())
        problems.add("run", fmt::format("or model must be given, not both; got {}; give one", run ? "both" : "none"));
      if (adapter && !model) problems.add("adapter", "belongs to a model; got no model; give it, or leave this out");
      for (const auto& [key, path] : {std::pair{"base", base}, std::pair{"base_adapter", base_adapter}})
        if (path && !run) problems.add(key, "belongs to a run; got no run; give it, or leave this out");
      if (checkpoint != "last" && !run)
        problems.add("checkpoint", "belongs to a run; got no run; give it, or leave this out");
      if (!checkpoint_choice(checkpoint))
        problems.add("checkpoint",
                     fmt::format("must be last, best or a number of steps; got {}; give one", checkpoint));
      if (model && !out) problems.add("out", "must be given with model; got nothing; name a folder");
    }
  } options;
  JobOptions job;
};
static_assert(field_count<ExportVerb::Options>() == 13, "describe() must list every field");

c10::ScalarType torch_dtype(ExportDtype dtype) {
  switch (dtype) {
    case ExportDtype::kFloat32:
      return torch::kFloat32;
    case ExportDtype::kBfloat16:
      return torch::kBFloat16;
    case ExportDtype::kFloat16:
      return torch::kFloat16;
  }
  TRIREME_ASSERT(false, "dtype {}", static_cast<int>(dtype));
}

RunModel source_model(const ExportVerb::Options& options) {
  if (options.run)
    return load_run_model(*options.run, *checkpoint_choice(options.checkpoint), {options.base, options.base_adapter});
  HubCheckpoint checkpoint(*options.model);
  RunModel source{load_model(checkpoint, {}), *options.model, {}, {}, false};
  if (options.adapter) {
    const Adapter adapter = read_adapter(*options.adapter, source.model.config);
    attach_adapter(source.model, adapter);
    source.rslora = adapter.rslora;
  }
  return source;
}

/// What loaders of the adapter look for: a path that leads to the base from anywhere.
std::string base_name(const ExportVerb::Options& options, const std::filesystem::path& base) {
  return options.base_name.value_or(std::filesystem::absolute(base).lexically_normal().string());
}

/// What `rerank --fuse fitted` reads, if the run was evaluated with reranking.
std::optional<FusionFile> fusion_of(const ExportVerb::Options& options) {
  if (options.fusion) return read_fusion_file(*options.fusion);
  if (!options.run || !std::filesystem::exists(*options.run / kFusionFileName)) return std::nullopt;
  return read_fusion_file(*options.run / kFusionFileName);
}

int run_export(const ExportVerb::Options& options, Job& job) {
  if (job.communicator.rank() != 0) return 0;
  constexpr double kBytesPerGb = 1e9;
  RunModel source = source_model(options);
  ExportOptions forms;
  forms.adapter = {options.adapter_naming, base_name(options, source.base), source.rslora};
  forms.merged = {source.base, torch_dtype(options.dtype), static_cast<int64_t>(options.max_shard_gb * kBytesPerGb)};
  const std::filesystem::path folder = options.out ? *options.out : *options.run / "export";
  if (!source.checkpoint.empty()) job.log.info("from {}, {}", source.checkpoint.string(), source.standing);
  const std::optional<FusionFile> fusion = fusion_of(options);
  for (const ExportFormat format : options.format) {
    const Exported exported = export_model(source.model, format, folder, forms);
    job.log.info("{}: {}", exported.path.string(), text_of(exported.tensors));
    job.log.info("{}: read back, embeddings within {:.1e} of the model's", exported.path.string(), exported.difference);
    if (!fusion || !std::filesystem::is_directory(exported.path)) continue;
    write_fusion_file(exported.path / kFusionFileName, for_another_form(*fusion));
    job.log.info("{}: the weights of reranking", (exported.path / kFusionFileName).string());
  }
  return 0;
}

}  // namespace

VerbAction add_export(Program& program) {
  auto verb = std::make_shared<ExportVerb>();
  program.add("export", "Weights for inference: PEFT adapter, merged checkpoint, TorchScript.", verb->options,
              verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return run_export(verb->options, job); });
  };
}

}  // namespace trireme
