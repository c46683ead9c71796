#include "trainers/lamra_rank.h"

#include <algorithm>
#include <chrono>

#include "core/config/field_list.h"
#include "core/elapsed.h"
#include "trainers/lamra_rank_parts.h"
#include "trainers/mined_source.h"
#include "trainers/preflight.h"
#include "trainers/rerank_totals.h"
#include "trainers/run/stop.h"
#include "trainers/run_guard.h"
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
void fly_ahead(LamraRankFiles& files, LamraRankParts& parts, TrainingJob& job) {
  const std::unique_ptr<BatchStream<RerankBatch>> loader = std::move(files.first_batches);
  const int64_t steps = files.config.train.preflight_steps;
  if (steps == 0) return;
  const RerankBatch longest = longest_batch(*loader, steps);
  rerank_step(parts.task, longest, parts.reducer, files.communicator);
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
  check_warmup(schedule, train, problems);
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

  // Check: all that config, files and run directory can be refused for, before a weight is read.
  RunIdentity identity{.recipe = "lamra_rank",
                       .config_dump = resolved.dump(),
                       .config_values = yaml_of_values(config),
                       .seed = static_cast<uint64_t>(config.seed),
                       .ranks = communicator.size()};
  if (communicator.rank() == 0) check_run_folder(config.run_dir, identity, config.resume);
  LamraRankFiles files(config, job);
  log_allowed(files.set, job.log);
  tell_mined(files.set, files.negatives, job.log);

  // Build.
  LamraRankParts parts(files, job);
  fly_ahead(files, parts, job);
  identity.base = parts.base.base;
  RunState run(config.run_dir, identity, config.resume, config.checkpoint, communicator, job.log);
  run.write_trainable(tensor_statuses(parts.base.model));

  // Restore.
  const auto [first_step, counters] = run.restore(parts.leaves, parts.optimizer);
  RunGuard guard(config.guard, run);
  guard.restore(counters);
  RerankTotals totals(communicator, parts.base.model.device);
  totals.restore(counters, job.log);

  // Loop.
  const auto write_checkpoint = [&](int64_t steps_done) {
    run.checkpoint(steps_done, parts.leaves, parts.optimizer, merged({guard.state(), totals.state()}));
  };
  LastCheckpoint last_checkpoint(run, parts.leaves, job.log, [&](int64_t steps_done) {
    guard.examine(totals.read_steps(), parts.leaves);
    write_checkpoint(steps_done);
  });
  const int64_t steps = files.steps;
  const std::unique_ptr<BatchStream<RerankBatch>> loader = files.loader(first_step);
  Progress progress(job.console, job.progress("train", "steps", steps - first_step));
  Clock::time_point line_begin = Clock::now();
  for (int64_t step = first_step; step < steps; ++step) {
    const RerankBatch batch = loader->next();                                                     // sample
    const RerankStepResult result = rerank_step(parts.task, batch, parts.reducer, communicator);  // forward .. reduce
    const GradientNorm norm = gradient_norm(parts.reducer.gradients(), config.optim.clip_norm);
    const double lr = config.optim.peak_lr * files.schedule.factor(step);
    last_checkpoint.begin_update();
    parts.optimizer.step(lr, norm);   // step
    totals.add(result, norm, batch);  // report
    guard.add(batch);
    log_skipped(step, batch.skipped, job.log);
    const bool last = step + 1 == steps;
    if ((step + 1) % config.train.log_every_steps == 0 || last) {
      const double seconds_per_step = seconds_since(line_begin) / static_cast<double>(totals.steps());
      guard.examine(totals.read_steps());
      last_checkpoint.end_update(step + 1);
      run.write(curve_record(step, totals.take(), config.data.sampler.pairs_global, lr, seconds_per_step));
      line_begin = Clock::now();
    }
    last_checkpoint.end_update(step + 1);
    progress.advance(1);
    const bool stops = any_rank_stops(communicator, job.stop_requested());
    if (stops || last || (step + 1) % config.checkpoint.every_steps == 0) {
      guard.examine(totals.read_steps(), parts.leaves);
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
