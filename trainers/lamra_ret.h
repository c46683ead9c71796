#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/checkpoint/same_run.h"
#include "core/config/config.h"
#include "data/loader/data_config.h"
#include "data/sources/mined_config.h"
#include "evaluation/validation.h"
#include "losses/info_nce_config.h"
#include "models/lora.h"
#include "models/trainable.h"
#include "trainers/contrastive_step.h"
#include "trainers/guard.h"
#include "trainers/model_source.h"
#include "trainers/optim/optim_config.h"
#include "trainers/recipe.h"
#include "trainers/schedule/schedule.h"
#include "trainers/train_length.h"
#include "trainers/training_job.h"
#include "trainers/what_trains.h"

namespace trireme {

class FieldList;

/// Contrastive training of a Qwen2-VL into an embedder. Source: LamRA, arXiv:2412.01720, sec. 3.2 and 3.3. One recipe
/// for all of its stages: text pairs (stage 1), M-BEIR's mixed tasks (stage 2), and training a small base from scratch;
/// they differ by config alone (experiments/).
struct LamraRetConfig {
  Recipe recipe = Recipe::kLamraRet;
  std::filesystem::path run_dir;
  int64_t seed = 42;
  ModelSourceConfig model;
  std::optional<LoraConfig> lora;
  TrainableConfig trainable;
  DataConfig data;
  std::optional<MinedConfig> mined;
  StepConfig step;
  InfoNceConfig loss;
  OptimConfig optim;
  ScheduleConfig schedule;
  TrainLengthConfig train;
  std::optional<ValidationConfig> validation;
  CheckpointConfig checkpoint;
  GuardConfig guard;
  ResumeConfig resume;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// Trains until the run is complete or the job is asked to stop. The run directory's newest valid checkpoint is gone on
/// from, to the same bits as an unbroken run with the same number of ranks. Collective.
/// throws ConfigError, DataError before anything is trained: whatever is wrong with config, files and run directory.
///        DivergedError: the guard's verdict; evidence lies in the run directory. DataError: disk full.
TrainingEnd train_lamra_ret(const Resolved<LamraRetConfig>& config, TrainingJob& job);

}  // namespace trireme
