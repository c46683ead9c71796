#include "trainers/recipe_bench.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/elapsed.h"
#include "trainers/lamra_rank_parts.h"
#include "trainers/lamra_ret_parts.h"
#include "trainers/mined_source.h"
#include "trainers/rerank_totals.h"
#include "trainers/step_totals.h"
#include "trainers/what_trains.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

/// See StepBenchResult::linear_flop.
double linear_flop(Lmm& model, const PairBatchCounts& counts) {
  const auto tokens = static_cast<double>(counts.tokens), patches = static_cast<double>(counts.patches);
  constexpr double kPatchesPerMergedRow = 4;
  const bool tower_trains = vision_trains(model);
  double flop = 0;
  for (const LinearModule& module : linear_layers(model)) {
    const bool vision = module.path.starts_with("visual.");
    if (module.path == "lm_head") continue;
    const double rows = !vision                                     ? tokens
                        : module.path.starts_with("visual.merger.") ? patches / kPatchesPerMergedRow
                                                                    : patches;
    const auto weights = static_cast<double>(module.rows * module.in_features);
    const double passes = vision && !tower_trains ? 2 : module.layer->weight.requires_grad() ? 6 : 4;
    flop += passes * weights * rows;
    for (const LoraTerm& term : module.layer->lora) {
      if (term.row_begin != module.row_begin) continue;
      flop += 6 * static_cast<double>(term.a.numel() + term.b.numel()) * rows;
    }
  }
  return flop;
}

/// differentiate(batch): the recipe's step up to the reduced gradient.
template <class Totals, class Files, class Parts, class Differentiate>
StepBenchResult measure_steps(Files& files, Parts& parts, int64_t warmup, int64_t steps, TensorMemory& memory,
                              const Differentiate& differentiate) {
  const auto loader = std::move(files.first_batches);
  Totals totals(files.communicator, parts.base.model.device);
  StepBenchResult out;
  out.steps = steps;
  out.pairs_global = files.config.data.sampler.pairs_global;
  out.fastest_step_s = std::numeric_limits<double>::infinity();
  double flop = 0;
  for (int64_t step = 0; step < warmup + steps; ++step) {
    const auto begin = Clock::now();
    const auto batch = loader->next();
    const int64_t live_before = memory.live_bytes();
    memory.restart_peak();
    const auto loaded = Clock::now();
    const auto result = differentiate(batch);
    const auto differentiated = Clock::now();
    const int64_t activations = memory.peak_bytes() - live_before;
    const GradientNorm norm = gradient_norm(parts.reducer.gradients(), files.config.optim.clip_norm);
    parts.optimizer.step(files.config.optim.peak_lr, norm);
    totals.add(result, norm, batch);
    const auto end = Clock::now();
    if (step + 1 == warmup) totals.take();
    if (step < warmup) continue;
    out.activation_bytes = std::max(out.activation_bytes, activations);
    out.data_wait_s += seconds_between(begin, loaded);
    out.gradient_s += seconds_between(loaded, differentiated);
    out.optimizer_s += seconds_between(differentiated, end);
    out.fastest_step_s = std::min(out.fastest_step_s, seconds_between(begin, end));
    flop += linear_flop(parts.base.model, counts_of(batch));
  }
  const auto count = static_cast<double>(steps);
  for (double* phase : {&out.data_wait_s, &out.gradient_s, &out.optimizer_s}) *phase /= count;
  out.step_s = out.data_wait_s + out.gradient_s + out.optimizer_s;
  const auto means = totals.take();
  out.tokens = means.tokens;
  out.loss = means.loss;
  out.linear_flop = flop / count * static_cast<double>(files.communicator.size());
  return out;
}

}  // namespace

StepBenchResult bench_step(const LamraRetConfig& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                           TrainingJob& job) {
  LamraRetFiles files(config, job);
  LamraRetParts parts(files, job);
  return measure_steps<StepTotals>(files, parts, warmup, steps, memory, [&](const PairBatch& batch) {
    return contrastive_step(parts.task, batch, parts.reducer, job.communicator);
  });
}

StepBenchResult bench_step(const LamraRankConfig& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                           TrainingJob& job) {
  LamraRankFiles files(config, job);
  LamraRankParts parts(files, job);
  return measure_steps<RerankTotals>(files, parts, warmup, steps, memory, [&](const RerankBatch& batch) {
    return rerank_step(parts.task, batch, parts.reducer, job.communicator);
  });
}

LoaderSpeed bench_loader(const LamraRetConfig& config, int64_t steps, const TrainingJob& job) {
  const ModelInputs input(config.model.path);
  const std::optional<MinedNegatives> negatives = open_mined(config.mined, job.communicator, job.log);
  const TrainingSet set(config.data, negatives ? &*negatives : nullptr);
  BatchStream<PairBatch> loader =
      pair_batches(set, config.data, input.model_input(), static_cast<uint64_t>(config.seed),
                   {job.communicator.rank(), job.communicator.size()});
  return measure_loader(loader, config.data, steps);
}

LoaderSpeed bench_loader(const LamraRankConfig& config, int64_t steps, const TrainingJob& job) {
  const ModelInputs input(config.model.path);
  const MinedNegatives negatives = open_mined(config.mined, job.communicator, job.log);
  const TrainingSet set(config.data, &negatives);
  BatchStream<RerankBatch> loader =
      rerank_batches(set, config.data, config.samples, negatives, input.model_input(),
                     static_cast<uint64_t>(config.seed), {job.communicator.rank(), job.communicator.size()});
  return measure_loader(loader, config.data, steps);
}

}  // namespace trireme
