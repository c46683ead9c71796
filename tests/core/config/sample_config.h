#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/config/field_count.h"
#include "core/config/report.h"

/// A config with every kind of field and rule, as a recipe would declare it.
namespace trireme::test {

enum class RopeMode { kMrope, kOned };
constexpr auto choice_names(RopeMode) {
  return std::to_array<std::pair<RopeMode, std::string_view>>({{RopeMode::kMrope, "mrope"}, {RopeMode::kOned, "oned"}});
}

struct OptimConfig {
  double peak_lr = 1e-4;
  int64_t warmup_steps = 0;
  int64_t total_steps = 1000;
  std::vector<double> betas = {0.9, 0.999};
  std::optional<double> clip_norm = 1.0;
  /// Left unset it is set to total_steps.
  std::optional<int64_t> decay_steps;

  void describe(FieldList& v) {
    v.field("peak_lr", peak_lr, "Learning rate after warm-up.").positive();
    v.field("warmup_steps", warmup_steps, "Linear ramp; step 0 uses peak_lr / warmup_steps; 0 = no ramp.").at_least(0);
    v.field("total_steps", total_steps, "Length of the run.").positive().at_most(1'000'000);
    v.field("betas", betas, "Decay rates of AdamW's two averages.").between(0, 1).non_empty();
    v.field("clip_norm", clip_norm, "Global gradient norm to clip at; null = no clipping.").positive();
    v.field("decay_steps", decay_steps, "Where the schedule reaches 0; total_steps when not set.").positive();
  }
  void fill_unset() {
    if (!decay_steps) decay_steps = total_steps;
  }
  void check(Problems& problems) const {
    if (warmup_steps > total_steps)
      problems.add("warmup_steps",
                   fmt::format("must be at most total_steps; got {} and {}; lower it", warmup_steps, total_steps));
  }
};
static_assert(field_count<OptimConfig>() == 6, "describe() must list every field");

struct TaskConfig {
  std::filesystem::path records;
  std::optional<double> weight;

  void describe(FieldList& v) {
    v.field("records", records, "Jsonl file of the task.").required();
    v.field("weight", weight, "Share of the batch.").positive();
  }
};
static_assert(field_count<TaskConfig>() == 2, "describe() must list every field");

struct SampleConfig {
  std::string name;
  bool exact = false;
  int64_t seed = 2023;
  RopeMode rope_mode = RopeMode::kMrope;
  std::filesystem::path out = "runs/sample";
  std::vector<std::string> tags;
  std::vector<RopeMode> modes = {RopeMode::kOned, RopeMode::kMrope};
  std::map<std::string, double> temperatures;
  std::map<std::string, TaskConfig> tasks;
  std::vector<TaskConfig> extra_tasks;
  std::optional<TaskConfig> validation;
  std::string precision = "float32";
  double floor = -1;
  OptimConfig optim;

  void describe(FieldList& v) {
    v.field("name", name, "What the run is called.").required();
    v.field("exact", exact, "Equal bits for every number of ranks.");
    v.field("seed", seed, "Of every random stream.");
    v.field("rope_mode", rope_mode, "Position ids of the decoder.");
    v.field("out", out, "Run directory.").non_empty().no_effect_on_values();
    v.field("tags", tags, "Free words for reports.").no_effect_on_values();
    v.field("modes", modes, "Modes to evaluate.");
    v.field("temperatures", temperatures, "InfoNCE temperature of each task, dimensionless.").positive();
    v.field("tasks", tasks, "What is trained on.");
    v.field("extra_tasks", extra_tasks, "What is also evaluated.");
    v.field("validation", validation, "What is validated on.");
    v.field("precision", precision, "Compute dtype.").one_of({"float32", "bfloat16"});
    v.field("floor", floor, "Scores below it are dropped.").allow_non_finite();
    v.field("optim", optim, "AdamW, arXiv:1711.05101.");
  }
};
static_assert(field_count<SampleConfig>() == 14, "describe() must list every field");

}  // namespace trireme::test
