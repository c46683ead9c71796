#include "trainers/lamra_ret_bench.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/elapsed.h"
#include "retrieval/checkpoint_inputs.h"
#include "trainers/lamra_ret_parts.h"
#include "trainers/mined_source.h"
#include "trainers/step_totals.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

/// See StepBenchResult::linear_flop.
double linear_flop(LamraRetParts& parts, const PairBatch& batch) {
  const PairBatchCounts counts = counts_of(batch);
  const auto tokens = static_cast<double>(counts.tokens), patches = static_cast<double>(counts.patches);
  constexpr double kPatchesPerMergedRow = 4;
  double flop = 0;
  for (const LinearModule& module : linear_layers(parts.base.model)) {
    const bool vision = module.path.starts_with("visual.");
    if (module.path == "lm_head") continue;
    const double rows = !vision                                     ? tokens
                        : module.path.starts_with("visual.merger.") ? patches / kPatchesPerMergedRow
                                                                    : patches;
    const auto weights = static_cast<double>(module.rows * module.in_features);
    const double passes = vision && !parts.task.vision_trains ? 2 : module.layer->weight.requires_grad() ? 6 : 4;
    flop += passes * weights * rows;
    for (const LoraTerm& term : module.layer->lora) {
      if (term.row_begin != module.row_begin) continue;
      flop += 6 * static_cast<double>(term.a.numel() + term.b.numel()) * rows;
    }
  }
  return flop;
}

}  // namespace

StepBenchResult bench_lamra_ret_step(const LamraRetConfig& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                                     TrainingJob& job) {
  LamraRetParts parts(config, job);
  PairLoader loader = parts.loader(0);
  StepTotals totals(job.communicator, parts.base.model.device);
  StepBenchResult out;
  out.steps = steps;
  out.pairs_global = parts.task.pairs_global;
  out.fastest_step_s = std::numeric_limits<double>::infinity();
  double flop = 0;
  for (int64_t step = 0; step < warmup + steps; ++step) {
    const auto begin = Clock::now();
    const PairBatch batch = loader.next();
    const int64_t live_before = memory.live_bytes();
    memory.restart_peak();
    const auto loaded = Clock::now();
    const InfoNceResult result = contrastive_step(parts.task, batch, parts.reducer, job.communicator);
    const auto differentiated = Clock::now();
    const int64_t activations = memory.peak_bytes() - live_before;
    const GradientNorm norm = gradient_norm(parts.reducer.gradients(), config.optim.clip_norm);
    parts.optimizer.step(config.optim.peak_lr, norm);
    totals.add(result, norm, batch);
    const auto end = Clock::now();
    if (step + 1 == warmup) totals.take();
    if (step < warmup) continue;
    out.activation_bytes = std::max(out.activation_bytes, activations);
    out.data_wait_s += seconds_between(begin, loaded);
    out.gradient_s += seconds_between(loaded, differentiated);
    out.optimizer_s += seconds_between(differentiated, end);
    out.fastest_step_s = std::min(out.fastest_step_s, seconds_between(begin, end));
    flop += linear_flop(parts, batch);
  }
  const auto count = static_cast<double>(steps);
  for (double* phase : {&out.data_wait_s, &out.gradient_s, &out.optimizer_s}) *phase /= count;
  out.step_s = out.data_wait_s + out.gradient_s + out.optimizer_s;
  const StepTotals::Means means = totals.take();
  out.tokens = means.tokens;
  out.loss = means.loss;
  out.linear_flop = flop / count * static_cast<double>(job.communicator.size());
  return out;
}

LoaderSpeed bench_lamra_ret_loader(const LamraRetConfig& config, int64_t steps, const TrainingJob& job) {
  const ModelConfig shape = read_model_config(config.model.path);
  const Tokenizer tokenizer = Tokenizer::from_file(config.model.path / "tokenizer.json");
  std::optional<MinedNegatives> negatives;
  if (config.mined) negatives.emplace(open_mined(*config.mined, job.communicator, job.log));
  const TrainingSet set(config.data, negatives ? &*negatives : nullptr);
  PairLoader loader(set, config.data, {tokenizer, shape.image_token_id, image_processor_of(config.model.path, shape)},
                    static_cast<uint64_t>(config.seed), {job.communicator.rank(), job.communicator.size()});
  return measure_loader(loader, config.data, steps);
}

}  // namespace trireme
