#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/checkpoint/same_run.h"
#include "core/config/report.h"
#include "trainers/guard.h"
#include "trainers/optim/optim_config.h"
#include "trainers/schedule/schedule.h"
#include "trainers/train_length.h"

namespace trireme {

class FieldList;

/// What every recipe's config has, among its own fields: the run, its optimiser, its length, what is kept of it.
struct RunConfig {
  std::string recipe;
  std::filesystem::path run_dir;
  int64_t seed = 42;
  OptimConfig optim;
  ScheduleConfig schedule;
  TrainLengthConfig train;
  CheckpointConfig checkpoint;
  GuardConfig guard;
  ResumeConfig resume;

  /// recipe, which must be `name`; run_dir; seed, and what follows from it.
  void describe_first(FieldList& v, std::string_view name, std::string_view seeded);
  /// optim, schedule, train.
  void describe_length(FieldList& v);
  /// checkpoint, guard, resume.
  void describe_last(FieldList& v);
  void check(Problems& problems) const { check_warmup(schedule, train, problems); }
};

}  // namespace trireme
