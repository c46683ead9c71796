// resume_program DIR RANKS KILL_AFTER: a toy run of 24 steps with everything that a real one has: ranks (as threads),
// reducer, clipping, AdamW, schedule, curves, checkpoints in the background. Ends itself by SIGKILL once KILL_AFTER
// steps are done; -1 = goes to the end.
#include <csignal>
#include <iostream>
#include <optional>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/distributed/reducer.h"
#include "core/distributed/thread.h"
#include "core/rng.h"
#include "trainers/optim/optimizer.h"
#include "trainers/run/run_directory.h"
#include "trainers/schedule/schedule.h"

namespace trireme {
namespace {

constexpr int64_t kSteps = 24;
constexpr int64_t kRowsGlobal = 4;
constexpr int64_t kWidth = 6;
constexpr uint64_t kSeed = 7;

torch::Tensor normal(std::vector<int64_t> shape, RandomStream stream) {
  torch::Tensor values = at::empty(shape, at::kFloat);
  for (int64_t i = 0; i < values.numel(); ++i) values.data_ptr<float>()[i] = static_cast<float>(stream.normal());
  return values;
}

/// This rank's part of the mean over the global batch, which is a function of the seed and the step alone.
torch::Tensor loss_of(const NamedTensors& weights, int64_t step, const Communicator& comm) {
  const torch::Tensor rows = normal({kRowsGlobal, kWidth}, random_stream(kSeed, "rows", step));
  torch::Tensor total = at::zeros({});
  for (int64_t row = comm.rank(); row < kRowsGlobal; row += comm.size()) {
    total = total + at::tanh(at::mv(weights[0].second, rows[row]) + weights[1].second).square().sum();
  }
  return total / kRowsGlobal;
}

void train(const std::filesystem::path& folder, int64_t kill_after, Communicator& comm, Log& log) {
  const OptimConfig optim{.peak_lr = 0.05, .weight_decay = 0.01, .clip_norm = 0.5};
  const NamedTensors weights = {{"w", normal({kWidth, kWidth}, random_stream(kSeed, "w")).set_requires_grad(true)},
                                {"b", at::zeros({kWidth}).set_requires_grad(true)}};
  GradientReducer reducer({weights[0].second, weights[1].second}, comm, {.bucket_bytes = 64});
  Optimizer optimizer(optim, weights);
  const Schedule schedule({}, kSteps);

  std::optional<RunDirectory> run;
  std::optional<CheckpointWriter> writer;
  std::optional<Checkpoint> from;
  torch::Tensor first_step = at::zeros({}, at::kLong);
  if (comm.rank() == 0) {
    run.emplace(folder, RunIdentity{.recipe = "toy", .config_dump = "{}\n", .config_values = "{}\n", .seed = kSeed},
                ResumeConfig{}, log);
    writer.emplace(run->checkpoints(), CheckpointConfig{.every_steps = 3, .keep_last = 2});
    from = run->take_checkpoint();
    if (from) first_step.fill_(from->step);
  }
  comm.broadcast(first_step, 0).wait();
  if (first_step.item<int64_t>() > 0) {
    NamedTensors state = optimizer.state();
    if (from) {
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i].second.detach().copy_(from->weights[i].second);
      optimizer.load_state(from->optimizer);
    }
    for (const auto& [name, tensor] : weights) comm.broadcast(tensor.detach(), 0).wait();
    for (const auto& [name, tensor] : state) comm.broadcast(tensor, 0).wait();
    optimizer.load_state(state);
  }

  for (int64_t step = first_step.item<int64_t>(); step < kSteps; ++step) {
    reducer.start_step();
    reducer.overlap_next_backward();
    const torch::Tensor loss = loss_of(weights, step, comm);
    loss.backward();
    reducer.finish_step();
    const GradientNorm norm = gradient_norm(reducer.gradients(), optim.clip_norm);
    optimizer.step(optim.peak_lr * schedule.factor(step), norm);
    torch::Tensor loss_global = loss.detach().clone();
    comm.all_reduce(loss_global, ReduceOp::kSum).wait();
    if (run) {
      run->write({step, {{"loss", loss_global.item<double>()}, {"norm", norm.norm.item<double>()}}, {{"s", 0.5}}});
      if ((step + 1) % 3 == 0) {
        Checkpoint checkpoint = run->begin_checkpoint(step + 1);
        checkpoint.weights = weights;
        checkpoint.optimizer = optimizer.state();
        writer->write(std::move(checkpoint));
      }
      if (step + 1 == kill_after) std::raise(SIGKILL);
    }
  }
  if (writer) writer->wait();
}

}  // namespace
}  // namespace trireme

int main(int, char** argv) {
  using namespace trireme;
  at::set_num_threads(1);
  Console console(std::cerr, false);
  Log log(console, {});
  run_ranks(std::atoll(argv[2]), [&](Communicator& comm) { train(argv[1], std::atoll(argv[3]), comm, log); });
  return 0;
}
