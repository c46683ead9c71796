#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/zeros.h>

#include "core/config/field_list.h"
#include "trainers/recipe.h"
#include "trainers/recipes/recipes.h"

namespace trireme::test {

struct ToyDataConfig {
  int64_t points_global = 8;
  int64_t points = 64;
  int64_t loader_threads = 1, queued_steps = 1;

  void describe(FieldList& v) {
    v.field("points_global", points_global, "Points a step, of all ranks.").at_least(1);
    v.field("points", points, "Points there are.").at_least(1);
    v.field("loader_threads", loader_threads, "Not used.").no_effect_on_values();
    v.field("queued_steps", queued_steps, "Not used.").no_effect_on_values();
  }
};

struct ToyConfig {
  RunConfig run;
  ToyDataConfig data;
  int64_t updates = 2;
  std::optional<double> broken_after;  ///< from this step on the loss is infinite

  void describe(FieldList& v) {
    run.describe_first(v, "toy", "Nothing but the points");
    v.field("data", data, "Points of a line.");
    v.field("updates", updates, "Updates a batch.").at_least(1);
    v.field("broken_after", broken_after, "From this step on the loss is infinite.");
    run.describe_length(v);
    run.describe_last(v);
  }
  void check(Problems& problems) const {
    run.check(problems);
    if (data.points < data.points_global)
      problems.add("data.points", fmt::format("must be at least points_global, {}; got {}; raise it",
                                              data.points_global, data.points));
  }
};
static_assert(field_count<ToyConfig>() == 4, "describe() must list every field");

/// This rank's points of a step: y = 3 x - 1.
struct ToyBatch : StepBatch {
  torch::Tensor x, y;  ///< [B] float64
};
struct ToyCounts {
  int64_t sequences = 0, tokens = 0, images = 0;
};
inline ToyCounts counts_of(const ToyBatch& batch) { return {batch.x.size(0), batch.x.size(0), 0}; }

struct ToyBatches {
  ToyBatch next() {
    const int64_t share = config.points_global / ranks;
    ToyBatch batch;
    batch.step = step++;
    const int64_t first = batch.step * config.points_global + rank * share;
    for (int64_t i = first; i < first + share; ++i) batch.query_ids.push_back(fmt::format("p{}", i));
    batch.target_ids = batch.query_ids;
    batch.x = at::cos(at::arange(first, first + share, torch::kFloat64).remainder(config.points));
    batch.y = 3 * batch.x - 1;
    return batch;
  }
  const ToyDataConfig& config;
  int64_t rank, ranks, step;
};

/// Least squares with several updates a batch: a third recipe, on a model that no other shares.
struct Toy {
  using Config = ToyConfig;
  static constexpr std::string_view kName = "toy", kUnit = "points";
  static std::vector<Curve> curves() { return {{"loss"}, {.name = "within_one", .is_ratio = true}}; }
  static std::string_view method(const Config&) { return "plain"; }

  Toy(const Config& run_config, TrainingJob& training_job) : config(run_config), job(training_job) {}

  int64_t steps_per_epoch() const { return config.data.points / config.data.points_global; }
  int64_t units_per_step() const { return config.data.points_global; }
  int64_t updates_per_step() const { return config.updates; }
  ToyBatches open(int64_t first_step) const {
    return {config.data, job.communicator.rank(), job.communicator.size(), first_step};
  }

  TrainedTensors load() {
    slope = at::zeros({}, torch::kFloat64).requires_grad_();
    offset = at::zeros({}, torch::kFloat64).requires_grad_();
    return {.base = {.path = "toy", .sha256 = {}, .fingerprint = {}},
            .leaves = {{"slope", slope}, {"offset", offset}},
            .statuses = {{"slope", {}, "float64", true, ""}, {"offset", {}, "float64", true, ""}},
            .weight_bytes = 16};
  }

  std::vector<Measurement> gradient(const ToyBatch& batch, int64_t /*update*/, GradientReducer& reducer) {
    reducer.start_step();
    const torch::Tensor error = slope * batch.x + offset - batch.y;
    torch::Tensor loss = (error * error).sum() / static_cast<double>(units_per_step());
    if (config.broken_after && static_cast<double>(batch.step) >= *config.broken_after) loss = loss / 0.0;
    reducer.overlap_next_backward();
    loss.backward();
    reducer.finish_step();
    return {{loss.detach()}, {error.detach().abs().le(1).sum(), at::full({}, static_cast<double>(batch.x.size(0)))}};
  }

  NamedValues values_now() const { return {{"train/slope", slope.item<double>()}}; }
  double linear_flop(const ToyBatch& batch) { return 4.0 * static_cast<double>(batch.x.size(0)); }

  const Config& config;
  TrainingJob& job;
  torch::Tensor slope, offset;
};

inline RecipeEntry toy() { return entry_of<Toy>(); }

}  // namespace trireme::test
