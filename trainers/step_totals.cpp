#include "trainers/step_totals.h"

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>

namespace trireme {
namespace {

constexpr int64_t kValues = 11;

}  // namespace

StepTotals::StepTotals(Communicator& communicator, c10::Device device)
    : ranks_(static_cast<double>(communicator.size())), sums_(communicator, device, kValues) {}

void StepTotals::add(const InfoNceResult& result, const GradientNorm& norm, const PairBatch& batch) {
  const PairBatchCounts counts = counts_of(batch);
  const InfoNceMetrics& metrics = result.metrics;
  // The norm is every rank's alike: each brings its share of it.
  std::vector<torch::Tensor> shares = {result.loss,
                                       norm.norm / ranks_,
                                       metrics.accuracy,
                                       metrics.positive_cosine,
                                       metrics.negative_cosine,
                                       metrics.candidate_cosine,
                                       metrics.excluded};
  for (const double value : {static_cast<double>(batch.skipped.size()), static_cast<double>(counts.tokens),
                             static_cast<double>(counts.images), batch.waited_s / ranks_}) {
    shares.push_back(sums_.share(value));
  }
  sums_.add(shares);
}

StepTotals::Means StepTotals::take() {
  const auto steps = static_cast<double>(std::max<int64_t>(sums_.steps(), 1));
  const std::vector<double> sum = sums_.take();
  const auto mean = [&](std::size_t i) { return sum[i] / steps; };
  return {mean(0), mean(1), mean(2), mean(3), mean(4), mean(5), mean(6), sum[7], mean(8), mean(9), mean(10)};
}

}  // namespace trireme
