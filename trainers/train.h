#pragma once

#include <memory>
#include <utility>

#include "core/checkpoint/same_run.h"
#include "core/config/config.h"
#include "trainers/recipe.h"
#include "trainers/training_run.h"

namespace trireme {

/// throws ConfigError: the schedule does not fit the run's length.
template <class R>
StepPlan step_plan(const RunConfig& config, const R& recipe) {
  const int64_t steps = total_steps(config.train, recipe.steps_per_epoch());
  return {R::kUnit, recipe.units_per_step(), R::curves(), steps, Schedule(config.schedule, steps)};
}

/// The longest of the run's first batches goes forward and back once; nothing of it is kept. Before anything is
/// written: too little memory, and what is wrong with the batches, is found here.
template <class R, class Batches>
void preflight(R& recipe, Batches batches, TrainingRun& run, int64_t steps) {
  if (steps == 0) return;
  auto longest = batches.next();
  for (int64_t i = 1; i < steps; ++i) {
    auto batch = batches.next();
    if (counts_of(batch).tokens > counts_of(longest).tokens) longest = std::move(batch);
  }
  gradient_of(recipe, longest, 0, run.reducer);
  run.log_preflight(counts_of(longest).tokens);
}

/// Every recipe's training: until the run is complete or the job is asked to stop. The run directory's newest valid
/// checkpoint is gone on from, to the same bits as an unbroken run with the same number of ranks. Collective.
/// throws ConfigError, DataError before anything is trained: whatever is wrong with config, files and run directory.
///        DivergedError: the guard's verdict; evidence lies in the run directory. DataError: disk full.
template <Recipe R>
TrainingEnd train(const Resolved<typename R::Config>& config, TrainingJob& job) {
  // Check: all that config, files and run directory can be refused for, before a weight is read.
  const RunConfig& run_config = config->run;
  RunIdentity identity{.recipe = std::string(R::kName),
                       .config_dump = config.dump(),
                       .config_values = yaml_of_values(*config),
                       .seed = static_cast<uint64_t>(run_config.seed),
                       .ranks = job.communicator.size()};
  if (job.communicator.rank() == 0) check_run_folder(run_config.run_dir, identity, run_config.resume);
  R recipe(*config, job);
  StepPlan plan = step_plan(run_config, recipe);
  RunValidation validation = validation_of(recipe);
  auto first_batches = recipe.open(0);  // loads while weights are read

  // Build.
  TrainingRun run(run_config, std::move(plan), recipe.load(), job);
  preflight(recipe, std::move(first_batches), run, run_config.train.preflight_steps);

  // Loop.
  auto batches = recipe.open(run.open(std::move(identity), std::move(validation)));
  while (run.goes_on()) {
    const auto batch = batches.next();  // sample
    for (int64_t update = 0; update < updates_per_step(recipe); ++update) {
      const auto measured = gradient_of(recipe, batch, update, run.reducer);  // forward, backward, reduce
      const GradientNorm norm = run.gradient_norm();
      run.update(norm, measured, facts_of(batch));  // step
    }
    run.end_step([&] { return values_now(recipe); });  // report, evaluate, keep
  }
  return run.finish();
}

}  // namespace trireme
