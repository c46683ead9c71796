#include "trainers/run_model.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "core/checkpoint/checkpoint.h"
#include "core/config/choice.h"
#include "core/config/config.h"
#include "core/distributed/self.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "core/json.h"
#include "core/shape.h"
#include "models/trainable.h"
#include "trainers/best_so_far.h"
#include "trainers/recipes/recipes.h"

namespace trireme {
namespace fs = std::filesystem;
namespace {

struct FoundCheckpoint {
  Checkpoint checkpoint;
  fs::path folder;
  std::string standing;
};

FoundCheckpoint newest_checkpoint(const fs::path& folder) {
  CheckpointSearch search = find_newest_checkpoint(folder);
  TRIREME_CHECK(search.newest, DataError, folder.string(),
                "a run must have a valid checkpoint; got none{}; train it first.",
                search.skipped.empty() ? "" : " (the newest: " + search.skipped.front().reason + ")");
  return {std::move(*search.newest), search.folder, "the newest"};
}

FoundCheckpoint find_checkpoint(const fs::path& run, const CheckpointChoice& choice) {
  const fs::path folder = run / "checkpoints";
  const auto at_step = [&](int64_t step, std::string standing) {
    const fs::path path = folder / checkpoint_name(step);
    return FoundCheckpoint{read_checkpoint(path), path, std::move(standing)};
  };
  if (choice.kind == CheckpointChoice::Kind::kStep) return at_step(choice.step, "as asked");
  FoundCheckpoint newest = newest_checkpoint(folder);
  BestSoFar best;
  best.restore(newest.checkpoint.counters);
  if (choice.kind == CheckpointChoice::Kind::kBest) {
    TRIREME_CHECK(best.steps_done(), DataError, newest.folder.string(),
                  "the best checkpoint is known of runs with a validation section only; got none; export the last.");
    return at_step(*best.steps_done(), fmt::format("the best by validation, {:.4f}", best.value()));
  }
  if (best.steps_done() && *best.steps_done() != newest.checkpoint.step) {
    newest.standing += fmt::format("; the best by validation is {}", checkpoint_name(*best.steps_done()));
  }
  return newest;
}

void set_trained(Lmm& model, const FoundCheckpoint& found) {
  std::map<std::string, torch::Tensor> saved(found.checkpoint.weights.begin(), found.checkpoint.weights.end());
  const torch::NoGradGuard no_gradient;
  for (TrainableTensor& leaf : trainable_tensors(model)) {
    const auto value = saved.find(leaf.name);
    TRIREME_CHECK(value != saved.end() && value->second.sizes() == leaf.tensor.sizes(), DataError,
                  found.folder.string(), "the checkpoint must hold {} {}; got {}; it is of another run.", leaf.name,
                  shape_string(leaf.tensor), value == saved.end() ? "none" : shape_string(value->second));
    leaf.tensor.copy_(value->second);
  }
}

ModelOfRun read_model_of_run(const fs::path& run) {
  const ConfigSource source = ConfigSource::read(run / "config.yaml");
  return recipe_of(source).model_of_run(source);
}

/// The folder that the run was started in last; "" when it does not say.
fs::path start_folder(const fs::path& run) {
  const fs::path file = run / "environment.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  const auto starts = try_parse_json(read_text_file(file));
  if (!starts.is_array() || starts.empty() || !starts.back().is_object()) return {};
  const auto folder = starts.back().find("folder");
  return folder != starts.back().end() && folder->is_string() ? folder->get<std::string>() : "";
}

/// Where a folder that the run's config names is now. option: of export, which names it otherwise.
fs::path found_folder(const fs::path& named, const std::optional<fs::path>& given, const fs::path& run,
                      std::string_view key, std::string_view option) {
  if (given) return *given;
  std::error_code ignored;
  if (fs::is_directory(named, ignored)) return named;
  const fs::path start = named.is_relative() ? start_folder(run) : fs::path();
  if (!start.empty() && fs::is_directory(start / named, ignored)) return start / named;
  throw DataError(
      run.string(),
      fmt::format("{} of the run must be a folder; got {}, which is none{}; name it with {} DIR.", key,
                  quote_path(named),
                  start.empty() ? "" : fmt::format(" here or in {}, where it was started", quote_path(start)), option));
}

}  // namespace

std::optional<CheckpointChoice> checkpoint_choice(std::string_view text) {
  if (text == "last") return CheckpointChoice{};
  if (text == "best") return CheckpointChoice{CheckpointChoice::Kind::kBest};
  CheckpointChoice choice{CheckpointChoice::Kind::kStep};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), choice.step);
  if (error != std::errc() || end != text.data() + text.size() || choice.step < 0) return std::nullopt;
  return choice;
}

RunModel load_run_model(const fs::path& run, const CheckpointChoice& choice, const RunOrigin& origin) {
  ModelOfRun config = read_model_of_run(run);
  ModelSourceConfig& model = config.trained.model;
  TRIREME_CHECK(model.adapter || !origin.adapter, ConfigError, "base_adapter",
                "must be given of a run with model.adapter; got one of {}, which has none; leave it out.",
                quote_path(run));
  model.path = found_folder(model.path, origin.base, run, "model.path", "--base");
  if (model.adapter)
    model.adapter = found_folder(*model.adapter, origin.adapter, run, "model.adapter", "--base-adapter");
  const FoundCheckpoint found = find_checkpoint(run, choice);
  model.dtype = ComputeDtype::kFloat32;
  SelfCommunicator alone;
  TrainingModel base = load_training_model(model, static_cast<uint64_t>(config.seed), alone, {.head = config.head});
  const fs::path& source = model.path;
  TRIREME_CHECK(base.base.sha256 == found.checkpoint.base.sha256, DataError, source.string(),
                "the base must be the one the run was made with, weights {}; got {}; name that one with --base DIR.",
                found.checkpoint.base.sha256, base.base.sha256);
  const auto parts = differing_parts(found.checkpoint.base.fingerprint, base.base.fingerprint, all_fingerprint_parts());
  TRIREME_CHECK(parts.empty(), DataError, source.string(),
                "the base must be the one the run was made with; got one whose {}; put it back.",
                difference_of(found.checkpoint.base.fingerprint, base.base.fingerprint, parts));
  make_trainable(base.model, config.trained, config.seed);
  set_trained(base.model, found);
  return {std::move(base.model), source, found.folder, found.standing,
          config.trained.lora && config.trained.lora->rslora};
}

}  // namespace trireme
