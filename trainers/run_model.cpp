#include "trainers/run_model.h"

#include <map>

#include "core/checkpoint/checkpoint.h"
#include "core/config/config.h"
#include "core/error.h"
#include "core/shape.h"
#include "models/trainable.h"
#include "trainers/lamra_ret_parts.h"

namespace trireme {
namespace fs = std::filesystem;
namespace {

struct FoundCheckpoint {
  Checkpoint checkpoint;
  fs::path folder;
};

FoundCheckpoint find_checkpoint(const fs::path& run, std::optional<int64_t> step) {
  const fs::path folder = run / "checkpoints";
  if (step) return {read_checkpoint(folder / checkpoint_name(*step)), folder / checkpoint_name(*step)};
  CheckpointSearch search = find_newest_checkpoint(folder);
  TRIREME_CHECK(search.newest, DataError, folder.string(),
                "a run must have a valid checkpoint; got none{}; train it first.",
                search.skipped.empty() ? "" : " (the newest: " + search.skipped.front().reason + ")");
  return {std::move(*search.newest), search.folder};
}

void set_trained(Model& model, const FoundCheckpoint& found) {
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

}  // namespace

RunModel load_run_model(const fs::path& run, std::optional<int64_t> step) {
  LamraRetConfig config = *load_config<LamraRetConfig>(run / "config.yaml");
  const FoundCheckpoint found = find_checkpoint(run, step);
  config.model.dtype = ComputeDtype::kFloat32;
  TrainingModel base = load_training_model(config.model, static_cast<uint64_t>(config.seed));
  const fs::path& source = config.model.path;
  TRIREME_CHECK(base.base.sha256 == found.checkpoint.base.sha256, DataError, source.string(),
                "the base must be the one the run was made with, weights {}; got {}; put it back.",
                found.checkpoint.base.sha256, base.base.sha256);
  make_trainable(base.model, config);
  set_trained(base.model, found);
  return {std::move(base.model), source, found.folder, config.lora && config.lora->rslora};
}

}  // namespace trireme
