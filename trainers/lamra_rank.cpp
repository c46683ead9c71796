#include "trainers/lamra_rank.h"

#include <algorithm>
#include <chrono>

#include "core/config/field_list.h"
#include "core/elapsed.h"
#include "trainers/diverged.h"
#include "trainers/lamra_rank_parts.h"
#include "trainers/mined_source.h"
#include "trainers/preflight.h"
#include "trainers/rerank_totals.h"
#include "trainers/run/stop.h"
#include "trainers/run_state.h"
#include "trainers/skipped.h"
#include "trainers/what_trains.h"

namespace trireme {

void LamraRankConfig::describe(FieldList& v) {
  v.field("recipe", recipe, "What `trireme train` runs.").required();
  v.field("run_dir", run_dir, "Folder of the run: made if missing, gone on with if it holds this run.")
      .required()
      .no_effect_on_values();
  v.field("seed", seed, "Batches, negatives, prompts, initial values and dropout follow from it.").at_least(0);
  v.field("model", model, "What is trained: the instruct model, not the retriever.");
  v.field("lora", lora, "Fresh low-rank terms; none when absent.");
  v.field("trainable", trainable, "Which tensors train.");
  v.field("data", data, "Queries, M-BEIR's; data.sampler.pairs_global counts them.");
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
static_assert(field_count<LamraRankConfig>() == 17, "describe() must list every field");
namespace {

using Clock = std::chrono::steady_clock;

/// The longest of the run's first batches goes forward and back once; nothing of it is kept. Before anything is
/// written: what is wrong with the batches is found here.
void fly_ahead(LamraRankParts& parts, TrainingJob& job) {
  const int64_t steps = parts.config.train.preflight_steps;
  RerankLoader loader = parts.loader(0);
  if (steps == 0) return;
  const RerankBatch longest = longest_batch(loader, steps);
  rerank_step(parts.task, longest, parts.reducer, parts.communicator);
  job.log.info("the longest of {} batches, {} tokens on this rank, fits: {}", steps, counts_of(longest).tokens,
               memory_by_category(parts.base.model, parts.optimizer, job.peak_memory_bytes()).text());
}

StepRecord curve_record(int64_t step, const RerankTotals::Means& means, int64_t queries_global, double lr,
                        double seconds_per_step) {
  return {step,
          {{"train/loss", means.loss},
           {"train/pointwise_loss", means.pointwise_loss},
           {"train/listwise_loss", means.listwise_loss},
           {"train/pointwise_accuracy", means.pointwise_accuracy},
           {"train/listwise_accuracy", means.listwise_accuracy},
           {"train/gradient_norm", means.gradient_norm},
           {"train/lr", lr},
           {"data/skipped_queries", means.skipped_queries},
           {"data/tokens_per_step", means.tokens},
           {"data/images_per_step", means.images}},
          {{"time/step_s", seconds_per_step},
           {"time/data_wait_s", means.data_wait_s},
           {"time/queries_per_s", static_cast<double>(queries_global) / seconds_per_step},
           {"time/tokens_per_s", means.tokens / seconds_per_step}}};
}

}  // namespace

DataConfig LamraRankConfig::default_data() {
  constexpr int64_t kTextTokens = 256;
  DataConfig data;
  data.text_tokens = kTextTokens;
  return data;
}

void LamraRankConfig::check(Problems& problems) const {
  check_what_trains(model, lora, trainable, problems);
  if (std::ranges::any_of(data.sources, [](const SourceConfig& s) { return s.kind != SourceKind::kMbeir; }))
    problems.add("data.sources", "must be of kind mbeir, whose queries were mined for; got another; remove it");
  if (data.prompt != PromptForm::kLamra)
    problems.add("data.prompt", "must be lamra: reranking has its own prompts; got another; remove it");
  if (data.hard_negatives != 0)
    problems.add(
        "data.hard_negatives",
        fmt::format("must be 0: samples says how negatives are drawn; got {}; remove it", data.hard_negatives));
}

TrainingEnd train_lamra_rank(const Resolved<LamraRankConfig>& resolved, TrainingJob& job) {
  const LamraRankConfig& config = *resolved;
  Communicator& communicator = job.communicator;

  // Build.
  LamraRankParts parts(config, job);
  const int64_t steps = total_steps(config.train, parts.set.steps_per_epoch());
  const Schedule schedule(config.schedule, steps);
  log_allowed(parts.set, job.log);
  tell_mined(parts.set, parts.negatives, job.log);
  fly_ahead(parts, job);
  RunState run(config.run_dir,
               {.recipe = "lamra_rank",
                .config_dump = resolved.dump(),
                .config_values = yaml_of_values(config),
                .seed = static_cast<uint64_t>(config.seed),
                .base = parts.base.base,
                .ranks = communicator.size()},
               config.resume, config.checkpoint, communicator, job.log);
  run.write_trainable(tensor_statuses(parts.base.model));

  // Restore.
  const auto [first_step, counters] = run.restore(parts.leaves, parts.optimizer);
  Guard guard(config.guard);
  guard.restore(counters);
  RerankTotals totals(communicator, parts.base.model.device);
  totals.restore(counters);

  // Loop.
  const auto write_checkpoint = [&](int64_t steps_done) {
    run.checkpoint(steps_done, parts.leaves, parts.optimizer, merged({guard.state(), totals.state()}));
  };
  LastCheckpoint last_checkpoint(run, parts.leaves, job.log, write_checkpoint);
  RerankLoader loader = parts.loader(first_step);
  Progress progress(job.console, job.progress("train", "steps", steps - first_step));
  Clock::time_point line_begin = Clock::now();
  for (int64_t step = first_step; step < steps; ++step) {
    const RerankBatch batch = loader.next();                                                      // sample
    const RerankStepResult result = rerank_step(parts.task, batch, parts.reducer, communicator);  // forward .. reduce
    const GradientNorm norm = gradient_norm(parts.reducer.gradients(), config.optim.clip_norm);
    const double lr = config.optim.peak_lr * schedule.factor(step);
    last_checkpoint.begin_update();
    parts.optimizer.step(lr, norm);   // step
    totals.add(result, norm, batch);  // report
    log_skipped(step, batch.skipped, job.log);
    const bool last = step + 1 == steps;
    if ((step + 1) % config.train.log_every_steps == 0 || last) {
      const double seconds_per_step = seconds_since(line_begin) / static_cast<double>(totals.steps());
      const RerankTotals::Means means = totals.take();
      const StepHealth health{.step = step, .loss = means.loss, .gradient_norm = means.gradient_norm};
      require_healthy(guard, health, batch.query_ids, batch.target_ids, run);
      last_checkpoint.end_update(step + 1);
      run.write(curve_record(step, means, config.data.sampler.pairs_global, lr, seconds_per_step));
      line_begin = Clock::now();
    }
    last_checkpoint.end_update(step + 1);
    progress.advance(1);
    const bool stops = any_rank_stops(communicator, job.stop_requested());
    if (stops || last || (step + 1) % config.checkpoint.every_steps == 0) {
      write_checkpoint(step + 1);
    }
    if (stops && !last) {
      run.finish();
      job.log.info("stopped as asked after step {} of {}; the same command goes on from there", step + 1, steps);
      return TrainingEnd::kStopped;
    }
  }

  // Finish.
  run.finish();
  progress.finish();
  return TrainingEnd::kFinished;
}

}  // namespace trireme
