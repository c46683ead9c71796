#include "retrieval/rerank/fit_alpha.h"

#include "core/error.h"

namespace trireme {

AlphaFit fit_alpha(int64_t steps, const std::function<double(double alpha)>& objective) {
  TRIREME_ASSERT(steps >= 1, "{} steps", steps);
  AlphaFit best;
  best.value = best.retriever_value = objective(1);
  for (int64_t step = steps - 1; step >= 0; --step) {
    const double alpha = static_cast<double>(step) / static_cast<double>(steps);
    const double value = objective(alpha);
    if (value > best.value) best = {alpha, value, best.retriever_value};
  }
  return best;
}

}  // namespace trireme
