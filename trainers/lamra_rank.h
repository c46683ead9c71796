#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/checkpoint/same_run.h"
#include "core/config/config.h"
#include "data/loader/data_config.h"
#include "data/rerank/samples_config.h"
#include "data/sources/mined_config.h"
#include "losses/rerank.h"
#include "models/lora.h"
#include "models/trainable.h"
#include "trainers/guard.h"
#include "trainers/model_source.h"
#include "trainers/optim/optim_config.h"
#include "trainers/recipe.h"
#include "trainers/rerank_step.h"
#include "trainers/schedule/schedule.h"
#include "trainers/train_length.h"
#include "trainers/training_job.h"

namespace trireme {

/// Training a Qwen2-VL to judge candidates, one by one and as a list. Source: LamRA, arXiv:2412.01720, sec. 3.4.
struct LamraRankConfig {
  /// Texts are cut after 256 tokens, as LamRA does here.
  static DataConfig default_data();

  Recipe recipe = Recipe::kLamraRank;
  std::filesystem::path run_dir;
  int64_t seed = 42;
  ModelSourceConfig model;
  std::optional<LoraConfig> lora;
  TrainableConfig trainable;
  DataConfig data = default_data();
  MinedConfig mined;
  RerankSamplesConfig samples;
  RerankStepConfig step;
  RerankLossConfig loss;
  OptimConfig optim;
  ScheduleConfig schedule;
  TrainLengthConfig train;
  CheckpointConfig checkpoint;
  GuardConfig guard;
  ResumeConfig resume;

  template <class V>
  void describe(V& v) {
    v.field("recipe", recipe, "What `trireme train` runs.").required();
    v.field("run_dir", run_dir, "Folder of the run: made if missing, gone on with if it holds this run.")
        .required()
        .no_effect_on_values();
    v.field("seed", seed, "Batches, negatives, prompts, initial values and dropout follow from it.").at_least(0);
    v.field("model", model, "What is trained: the instruct model, not the retriever.");
    v.field("lora", lora, "Fresh low-rank terms; none when absent.");
    v.field("trainable", trainable, "Which tensors train.");
    v.field("data", data, "Queries, M-BEIR's; sampler.pairs_global counts them.");
    v.field("mined", mined, "Negatives: what a retriever found for the queries.");
    v.field("samples", samples, "What becomes of a query.");
    v.field("step", step, "How a step's gradient is computed.");
    v.field("loss", loss, "Cross-entropy of the answers.");
    v.field("optim", optim, "Optimiser.");
    v.field("schedule", schedule, "Learning rate over the run.");
    v.field("train", train, "How long.");
    v.field("checkpoint", checkpoint, "What is kept to go on from.");
    v.field("guard", guard, "When a run ends that goes wrong.");
    v.field("resume", resume, "What may change when a run goes on.");
  }
  void check(Problems& problems) const;
};
static_assert(field_count<LamraRankConfig>() == 17, "describe() must list every field");

/// Trains until the run is complete or the job is asked to stop. The run directory's newest valid checkpoint is gone on
/// from, to the same bits as an unbroken run with the same number of ranks. Collective.
/// throws ConfigError, DataError before anything is trained: whatever is wrong with config, files and run directory;
///        negatives of another retriever. DivergedError: the guard's verdict. DataError: disk full.
TrainingEnd train_lamra_rank(const Resolved<LamraRankConfig>& config, TrainingJob& job);

}  // namespace trireme
