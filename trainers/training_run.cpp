#include "trainers/training_run.h"

#include <algorithm>

#include "core/elapsed.h"
#include "trainers/run/stop.h"
#include "trainers/skipped.h"

namespace trireme {
namespace {

int64_t bytes_of(const NamedTensors& tensors) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

c10::Device device_of(const TrainedTensors& trained) { return trained.leaves.front().second.device(); }

}  // namespace

TrainingRun::TrainingRun(const RunConfig& config, StepPlan plan, TrainedTensors trained, TrainingJob& job)
    : reducer(values_of(trained.leaves), job.communicator),
      optimizer(config.optim, trained.leaves),
      totals(job.communicator, device_of(trained), plan.curves),
      config_(config),
      plan_(std::move(plan)),
      trained_(std::move(trained)),
      job_(job) {}

void TrainingRun::log_preflight(int64_t tokens) {
  constexpr double kMebibyte = 1 << 20;
  const int64_t gradients = bytes_of(trained_.leaves), state = bytes_of(optimizer.state());
  const int64_t rest = std::max<int64_t>(0, job_.peak_memory_bytes() - trained_.weight_bytes - gradients - state);
  const auto mebibytes = [](int64_t bytes) { return static_cast<double>(bytes) / kMebibyte; };
  job_.log.info(
      "the longest of {} batches, {} tokens on this rank, fits: weights {:.0f} MiB, gradients {:.0f} MiB, optimiser "
      "{:.0f} MiB, activations and the rest {:.0f} MiB",
      config_.train.preflight_steps, tokens, mebibytes(trained_.weight_bytes), mebibytes(gradients), mebibytes(state),
      mebibytes(rest));
}

int64_t TrainingRun::open(RunIdentity identity, RunValidation validation) {
  identity.base = trained_.base;
  validation_ = std::move(validation);
  state_.emplace(config_.run_dir, identity, config_.resume, config_.checkpoint, job_.communicator, job_.log);
  state_->write_trainable(trained_.statuses);
  const auto [first_step, counters] = state_->restore(trained_.leaves, optimizer);
  guard_.emplace(config_.guard, *state_);
  guard_->restore(counters);
  totals.restore(counters, job_.log);
  validation_.restore(counters);
  last_checkpoint_.emplace(*state_, trained_.leaves, job_.log, [this](int64_t steps_done) {
    guard_->examine(totals.read_updates(), trained_.leaves);
    write_checkpoint(steps_done);
  });
  progress_.emplace(job_.console, job_.progress("train", "steps", plan_.steps - first_step));
  line_begin_ = std::chrono::steady_clock::now();
  return step_ = first_step;
}

GradientNorm TrainingRun::gradient_norm() const {
  return trireme::gradient_norm(reducer.gradients(), config_.optim.clip_norm);
}

void TrainingRun::update(const GradientNorm& norm, const std::vector<Measurement>& measured, BatchFacts facts) {
  last_checkpoint_->begin_update();
  optimizer.step(learning_rate(), norm);
  totals.add(measured, norm, facts);
  log_skipped(step_, facts.skipped, job_.log);
  guard_->add(std::move(facts));
}

bool TrainingRun::line_is_due() const {
  return (step_ + 1) % config_.train.log_every_steps == 0 || is_last() || validation_.due(step_, is_last());
}

void TrainingRun::write_line(NamedValues values_now) {
  const double step_s = seconds_since(line_begin_) / static_cast<double>(steps_in_line_);
  guard_->examine(totals.read_updates());
  last_checkpoint_->end_update(step_ + 1);
  StepTotals::Means means = totals.take();
  StepRecord record{step_, std::move(means.curves)};
  const std::string unit(plan_.unit);
  const NamedValues others = {{"train/gradient_norm", means.gradient_norm},
                              {"train/lr", learning_rate()},
                              {"data/skipped_" + unit, means.skipped},
                              {"data/tokens_per_step", means.tokens},
                              {"data/images_per_step", means.images}};
  for (const NamedValues& values : {others, values_now}) std::ranges::copy(values, std::back_inserter(record.values));
  record.timings = {{"time/step_s", step_s},
                    {"time/data_wait_s", means.data_wait_s},
                    {"time/" + unit + "_per_s", static_cast<double>(plan_.units_per_step) / step_s},
                    {"time/tokens_per_s", means.tokens / step_s}};
  state_->write(record);
  if (validation_.due(step_, is_last())) {
    guard_->examine({}, trained_.leaves);
    state_->write(validation_.evaluate(step_, job_.communicator, job_.log, *guard_));
  }
  steps_in_line_ = 0;
  line_begin_ = std::chrono::steady_clock::now();
}

void TrainingRun::finish_step() {
  last_checkpoint_->end_update(step_ + 1);
  progress_->advance(1);
  stops_ = any_rank_stops(job_.communicator, job_.stop_requested());
  const bool ends = is_last() || validation_.exhausted();
  if (stops_ || ends || validation_.best_is(step_) || (step_ + 1) % config_.checkpoint.every_steps == 0) {
    guard_->examine(totals.read_updates(), trained_.leaves);
    write_checkpoint(step_ + 1);
  }
  ++step_;
}

void TrainingRun::write_checkpoint(int64_t steps_done) {
  state_->checkpoint(steps_done, trained_.leaves, optimizer,
                     merged({guard_->state(), totals.state(), validation_.state()}), validation_.pinned_steps());
}

TrainingEnd TrainingRun::finish() {
  state_->finish();
  if (stops_ && step_ < plan_.steps && !validation_.exhausted()) {
    job_.log.info("stopped as asked after step {} of {}; the same command goes on from there", step_, plan_.steps);
    return TrainingEnd::kStopped;
  }
  progress_->finish();
  return TrainingEnd::kFinished;
}

}  // namespace trireme
