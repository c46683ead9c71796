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

class FieldList;

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

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// Trains until the run is complete or the job is asked to stop. The run directory's newest valid checkpoint is gone on
/// from, to the same bits as an unbroken run with the same number of ranks. Collective.
/// throws ConfigError, DataError before anything is trained: whatever is wrong with config, files and run directory;
///        negatives of another retriever. DivergedError: the guard's verdict. DataError: disk full.
TrainingEnd train_lamra_rank(const Resolved<LamraRankConfig>& config, TrainingJob& job);

}  // namespace trireme
