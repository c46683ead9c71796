#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string_view>

#include "core/elapsed.h"
#include "core/tensor_memory.h"
#include "data/loader/loader_speed.h"
#include "trainers/train.h"

namespace trireme {

/// Of one rank, over the measured steps; seconds are those of one step.
struct StepBenchResult {
  int64_t steps = 0, units_global = 0;  ///< a step's: pairs, queries
  double tokens = 0;                    ///< a step's, of all ranks
  double step_s = 0;                    ///< mean; the phases below add up to it
  double fastest_step_s = 0;
  double data_wait_s = 0, gradient_s = 0, optimizer_s = 0;
  /// Multiplications and additions of the linear layers a step, of all ranks: 2 a weight and token forward, 2 more for
  /// the gradient of what goes through, 2 more for a weight that trains; recomputation, attention's products
  /// and the vocabulary head left out. A frozen vision tower counts forward only.
  double linear_flop = 0;
  /// The most that the tensors of one gradient take at a time, beside what is there before it (weights, gradients,
  /// optimiser, batches): activations and what is made of them. On the CPU; batches loaded meanwhile count, too.
  int64_t activation_bytes = 0;
  double loss = 0;  ///< mean
};

/// Trains without a run directory: `warmup` steps that are not counted, then `steps` that are. Collective.
template <Recipe R>
StepBenchResult bench_step(const typename R::Config& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                           TrainingJob& job) {
  using Clock = std::chrono::steady_clock;
  R recipe(config, job);
  StepPlan plan = step_plan(config.run, recipe);
  auto batches = recipe.open(0);
  TrainingRun run(config.run, std::move(plan), recipe.load(), job);
  StepBenchResult out;
  out.steps = steps;
  out.units_global = recipe.units_per_step();
  out.fastest_step_s = std::numeric_limits<double>::infinity();
  double flop = 0;
  for (int64_t step = 0; step < warmup + steps; ++step) {
    const auto begin = Clock::now();
    const auto batch = batches.next();
    const int64_t live_before = memory.live_bytes();
    memory.restart_peak();
    double gradient_s = 0, optimizer_s = 0;
    int64_t activation_bytes = 0;
    auto mark = Clock::now();
    const double data_wait_s = seconds_between(begin, mark);
    const auto lap = [&] {
      const auto before = mark;
      return seconds_between(before, mark = Clock::now());
    };
    for (int64_t update = 0; update < updates_per_step(recipe); ++update) {
      const auto measured = gradient_of(recipe, batch, update, run.reducer);
      gradient_s += lap();
      activation_bytes = std::max(activation_bytes, memory.peak_bytes() - live_before);
      const GradientNorm norm = run.gradient_norm();
      run.optimizer.step(config.run.optim.peak_lr, norm);
      run.totals.add(measured, norm, facts_of(batch));
      optimizer_s += lap();
    }
    if (step + 1 == warmup) run.totals.take();
    if (step < warmup) continue;
    out.activation_bytes = std::max(out.activation_bytes, activation_bytes);
    out.data_wait_s += data_wait_s / static_cast<double>(steps);
    out.gradient_s += gradient_s / static_cast<double>(steps);
    out.optimizer_s += optimizer_s / static_cast<double>(steps);
    out.fastest_step_s = std::min(out.fastest_step_s, seconds_between(begin, mark));
    flop += recipe.linear_flop(batch);
  }
  out.step_s = out.data_wait_s + out.gradient_s + out.optimizer_s;
  const StepTotals::Means means = run.totals.take();
  out.tokens = means.tokens;
  out.loss = means.loss;
  out.linear_flop = flop / static_cast<double>(steps) * static_cast<double>(job.communicator.size());
  return out;
}

/// This rank's batches of the run, loaded and thrown away. No weights are read. Collective.
template <Recipe R>
LoaderSpeed bench_loader(const typename R::Config& config, int64_t steps, TrainingJob& job) {
  const R recipe(config, job);
  auto batches = recipe.open(0);
  return measure_loader(batches, config.data, steps);
}

}  // namespace trireme
