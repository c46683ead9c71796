#pragma once

#include <cstdint>

#include "core/tensor_memory.h"
#include "data/loader/loader_speed.h"
#include "trainers/lamra_rank.h"
#include "trainers/lamra_ret.h"

namespace trireme {

/// Of one rank, over the measured steps; seconds are those of one step.
struct StepBenchResult {
  int64_t steps = 0, pairs_global = 0;  ///< of a reranker: queries
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
StepBenchResult bench_step(const LamraRetConfig& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                           TrainingJob& job);
StepBenchResult bench_step(const LamraRankConfig& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                           TrainingJob& job);

/// This rank's batches of the run, loaded and thrown away. Collective.
LoaderSpeed bench_loader(const LamraRetConfig& config, int64_t steps, const TrainingJob& job);
LoaderSpeed bench_loader(const LamraRankConfig& config, int64_t steps, const TrainingJob& job);

}  // namespace trireme
