#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/distributed/reducer.h"
#include "core/tensor.h"
#include "data/loader/pair_batch.h"
#include "losses/info_nce.h"
#include "models/lmm.h"

namespace trireme {

class FieldList;

enum class GradientMethod {
  kPlain,      ///< the rank's whole share at once
  kGradCache,  ///< chunk by chunk, twice; one chunk's activations are held (losses/grad_cache.h)
};
constexpr auto choice_names(GradientMethod) {
  return std::to_array<std::pair<GradientMethod, std::string_view>>(
      {{GradientMethod::kPlain, "plain"}, {GradientMethod::kGradCache, "grad_cache"}});
}

/// [step] How one step's gradient is computed. No choice here changes the gradient, beyond rounding.
struct StepConfig {
  GradientMethod method = GradientMethod::kPlain;
  int64_t chunk_tokens = 4096;
  bool recompute_blocks = false;
  bool overlap_reduction = true;

  void describe(FieldList& v);
};

/// What is not in the batch: the same for all steps of a run.
struct ContrastiveTask {
  const Lmm& model;
  const StepConfig& step;
  const InfoNceConfig& loss;
  int64_t pairs_global = 0;
  uint64_t seed = 0;                      ///< of dropout
  bool vision_trains = false;             ///< else the tower's features are computed once per step, without gradient
  torch::Tensor log_inverse_temperature;  ///< undefined unless it is learned
};

/// The loss of the global batch and its gradient, this rank's share of both; the reducer's gradients then hold the sum
/// over ranks. Dropout masks are a function of (seed, step, sequence): the same under every method and rank count.
/// Collective; what is called depends on the config alone, not on which sequences have pictures.
/// throws what info_nce, the model and the reducer throw.
InfoNceResult contrastive_step(const ContrastiveTask& task, const PairBatch& batch, GradientReducer& reducer,
                               Communicator& communicator);

}  // namespace trireme
