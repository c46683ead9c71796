#include "trainers/lamra_ret.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/config/field_list.h"
#include "core/elapsed.h"
#include "trainers/lamra_ret_parts.h"
#include "trainers/mined_source.h"
#include "trainers/preflight.h"
#include "trainers/run/stop.h"
#include "trainers/run_guard.h"
#include "trainers/run_state.h"
#include "trainers/run_validation.h"
#include "trainers/skipped.h"
#include "trainers/step_totals.h"

namespace trireme {

void LamraRetConfig::describe(FieldList& v) {
  v.field("recipe", recipe, "What `trireme train` runs.").required();
  v.field("run_dir", run_dir, "Folder of the run: made if missing, gone on with if it holds this run.")
      .required()
      .no_effect_on_values();
  v.field("seed", seed, "Batches, prompts, augmentation, initial values and dropout follow from it.").at_least(0);
  v.field("model", model, "What is trained.");
  v.field("lora", lora, "Fresh low-rank terms; none when absent.");
  v.field("trainable", trainable, "Which tensors train.");
  v.field("data", data, "On what.");
  v.field("mined", mined, "Hard negatives that a retriever found; those of neg_cand_list when absent.");
  v.field("step", step, "How a step's gradient is computed.");
  v.field("loss", loss, "InfoNCE.");
  v.field("optim", optim, "Optimiser.");
  v.field("schedule", schedule, "Learning rate over the run.");
  v.field("train", train, "How long.");
  v.field("validation", validation, "Evaluation on the way; none when absent.");
  v.field("checkpoint", checkpoint, "What is kept to go on from.");
  v.field("guard", guard, "When a run ends that goes wrong.");
  v.field("resume", resume, "What may change when a run goes on.");
}
static_assert(field_count<LamraRetConfig>() == 17, "describe() must list every field");
namespace {

using Clock = std::chrono::steady_clock;

/// The longest of the run's first batches goes forward and back once; nothing of it is kept. Before anything is
/// written: what is wrong with the batches is found here.
void fly_ahead(LamraRetFiles& files, LamraRetParts& parts, TrainingJob& job) {
  const std::unique_ptr<BatchStream<PairBatch>> loader = std::move(files.first_batches);
  const int64_t steps = files.config.train.preflight_steps;
  if (steps == 0) return;
  const PairBatch longest = longest_batch(*loader, steps);
  contrastive_step(parts.task, longest, parts.reducer, files.communicator);
  job.log.info("the longest of {} batches, {} tokens on this rank, fits: {}", steps, counts_of(longest).tokens,
               memory_by_category(parts.base.model, parts.optimizer, job.peak_memory_bytes()).text());
}

StepRecord curve_record(int64_t step, const StepTotals::Means& means, const ContrastiveTask& task, double lr,
                        double seconds_per_step) {
  StepRecord record{step,
                    {{"train/loss", means.loss},
                     {"train/accuracy", means.accuracy},
                     {"train/positive_cosine", means.positive_cosine},
                     {"train/negative_cosine", means.negative_cosine},
                     {"train/candidate_cosine", means.candidate_cosine},
                     {"train/excluded_columns", means.excluded},
                     {"train/gradient_norm", means.gradient_norm},
                     {"train/lr", lr},
                     {"data/skipped_pairs", means.skipped_pairs},
                     {"data/tokens_per_step", means.tokens},
                     {"data/images_per_step", means.images}},
                    {{"time/step_s", seconds_per_step},
                     {"time/data_wait_s", means.data_wait_s},
                     {"time/pairs_per_s", static_cast<double>(task.pairs_global) / seconds_per_step},
                     {"time/tokens_per_s", means.tokens / seconds_per_step}}};
  if (task.log_inverse_temperature.defined()) {
    record.values.emplace_back("train/temperature", std::exp(-task.log_inverse_temperature.item<double>()));
  }
  return record;
}

}  // namespace

void LamraRetConfig::check(Problems& problems) const {
  check_what_trains(model, lora, trainable, problems);
  check_warmup(schedule, train, problems);
  if (data.sampler.pairs_global == 1 && data.hard_negatives == 0)
    problems.add("data.sampler.pairs_global",
                 "must be at least 2 without hard negatives; got 1: no pair would have a "
                 "negative; raise it");
  if (mined && data.hard_negatives == 0)
    problems.add("mined", "needs data.hard_negatives of at least 1; got 0; set it, or leave mined out");
  if (mined && std::ranges::none_of(data.sources, [](const SourceConfig& s) { return s.kind == SourceKind::kMbeir; }))
    problems.add("mined", "needs a source of kind mbeir, whose queries were mined for; got none; leave mined out");
}

TrainingEnd train_lamra_ret(const Resolved<LamraRetConfig>& resolved, TrainingJob& job) {
  const LamraRetConfig& config = *resolved;
  Communicator& communicator = job.communicator;

  // Check: all that config, files and run directory can be refused for, before a weight is read.
  RunIdentity identity{.recipe = "lamra_ret",
                       .config_dump = resolved.dump(),
                       .config_values = yaml_of_values(config),
                       .seed = static_cast<uint64_t>(config.seed),
                       .ranks = communicator.size()};
  if (communicator.rank() == 0) check_run_folder(config.run_dir, identity, config.resume);
  LamraRetFiles files(config, job);
  RunValidation validation(config.validation, config.data, files.inputs);
  log_allowed(files.set, job.log);
  if (files.negatives) tell_mined(files.set, *files.negatives, job.log);

  // Build.
  LamraRetParts parts(files, job);
  fly_ahead(files, parts, job);
  identity.base = parts.base.base;
  RunState run(config.run_dir, identity, config.resume, config.checkpoint, communicator, job.log);
  run.write_trainable(tensor_statuses(parts.base.model));

  // Restore.
  const auto [first_step, counters] = run.restore(parts.leaves, parts.optimizer);
  RunGuard guard(config.guard, run);
  guard.restore(counters);
  StepTotals totals(communicator, parts.base.model.device);
  totals.restore(counters, job.log);
  validation.restore(counters);

  // Loop.
  const auto write_checkpoint = [&](int64_t steps_done) {
    run.checkpoint(steps_done, parts.leaves, parts.optimizer,
                   merged({guard.state(), totals.state(), validation.state()}), validation.pinned_steps());
  };
  LastCheckpoint last_checkpoint(run, parts.leaves, job.log, [&](int64_t steps_done) {
    guard.examine(totals.read_steps(), parts.leaves);
    write_checkpoint(steps_done);
  });
  const int64_t steps = files.steps;
  const std::unique_ptr<BatchStream<PairBatch>> loader = files.loader(first_step);
  Progress progress(job.console, job.progress("train", "steps", steps - first_step));
  Clock::time_point line_begin = Clock::now();
  for (int64_t step = first_step; step < steps && !validation.exhausted(); ++step) {
    const PairBatch batch = loader->next();                                                         // sample
    const InfoNceResult result = contrastive_step(parts.task, batch, parts.reducer, communicator);  // forward .. reduce
    const GradientNorm norm = gradient_norm(parts.reducer.gradients(), config.optim.clip_norm);
    const double lr = config.optim.peak_lr * files.schedule.factor(step);
    last_checkpoint.begin_update();
    parts.optimizer.step(lr, norm);   // step
    totals.add(result, norm, batch);  // report
    guard.add(batch);
    log_skipped(step, batch.skipped, job.log);
    const bool is_last = step + 1 == steps, is_evaluated = validation.due(step, is_last);
    if ((step + 1) % config.train.log_every_steps == 0 || is_last || is_evaluated) {
      const double seconds_per_step = seconds_since(line_begin) / static_cast<double>(totals.steps());
      guard.examine(totals.read_steps());
      last_checkpoint.end_update(step + 1);
      run.write(curve_record(step, totals.take(), parts.task, lr, seconds_per_step));
      if (is_evaluated) {  // evaluate
        guard.examine({}, parts.leaves);
        run.write(validation.evaluate(step, parts.base.model, communicator, job.log, guard));
      }
      line_begin = Clock::now();
    }
    last_checkpoint.end_update(step + 1);
    progress.advance(1);
    const bool ends = is_last || validation.exhausted();
    const bool stops = any_rank_stops(communicator, job.stop_requested());
    if (stops || ends || validation.best_is(step) || (step + 1) % config.checkpoint.every_steps == 0) {
      guard.examine(totals.read_steps(), parts.leaves);
      write_checkpoint(step + 1);
    }
    if (stops && !ends) {
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
