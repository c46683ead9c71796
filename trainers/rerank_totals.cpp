#include "trainers/rerank_totals.h"

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>

namespace trireme {
namespace {

constexpr int64_t kValues = 12;

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

RerankTotals::RerankTotals(Communicator& communicator, c10::Device device)
    : ranks_(static_cast<double>(communicator.size())), sums_(communicator, device, kValues) {}

void RerankTotals::add(const RerankStepResult& result, const GradientNorm& norm, const RerankBatch& batch) {
  const PairBatchCounts counts = counts_of(batch);
  // The norm is every rank's alike: each brings its share of it.
  std::vector<torch::Tensor> shares = {result.loss.loss,      result.loss.pointwise,  result.loss.listwise,
                                       norm.norm / ranks_,    result.pointwise_right, result.pointwise_all,
                                       result.listwise_right, result.listwise_all};
  for (const double value : {static_cast<double>(batch.skipped.size()), static_cast<double>(counts.tokens),
                             static_cast<double>(counts.images), batch.waited_s / ranks_}) {
    shares.push_back(sums_.share(value));
  }
  sums_.add(shares);
}

RerankTotals::Means RerankTotals::take() {
  const auto steps = static_cast<double>(std::max<int64_t>(sums_.steps(), 1));
  const std::vector<double> sum = sums_.take();
  const auto mean = [&](std::size_t i) { return sum[i] / steps; };
  return {.loss = mean(0),
          .pointwise_loss = mean(1),
          .listwise_loss = mean(2),
          .gradient_norm = mean(3),
          .pointwise_accuracy = ratio(sum[4], sum[5]),
          .listwise_accuracy = ratio(sum[6], sum[7]),
          .skipped_queries = sum[8],
          .tokens = mean(9),
          .images = mean(10),
          .data_wait_s = mean(11)};
}

}  // namespace trireme
