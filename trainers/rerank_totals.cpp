#include "trainers/rerank_totals.h"

#include <algorithm>
#include <utility>

#include <ATen/TensorOperators.h>

namespace trireme {
namespace {

/// In the order in which add() has them.
enum Value : std::size_t {
  kLoss,
  kPointwiseLoss,
  kListwiseLoss,
  kNorm,
  kPointwiseRight,
  kPointwiseAll,
  kListwiseRight,
  kListwiseAll,
  kSkippedQueries,
  kTokens,
  kImages,
  kDataWait
};
std::vector<std::string> value_names() {
  return {"loss",           "pointwise_loss", "listwise_loss",   "gradient_norm", "pointwise_right", "pointwise_all",
          "listwise_right", "listwise_all",   "skipped_queries", "tokens",        "images",          "data_wait_s"};
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

RerankTotals::RerankTotals(Communicator& communicator, c10::Device device)
    : ranks_(static_cast<double>(communicator.size())), sums_(communicator, device, value_names()) {}

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
  unread_steps_.push_back(batch.step);
}

RerankTotals::Means RerankTotals::take() {
  const auto steps = static_cast<double>(std::max<int64_t>(sums_.steps(), 1));
  const std::vector<double> sum = sums_.take();
  const auto mean = [&](Value value) { return sum[value] / steps; };
  return {.loss = mean(kLoss),
          .pointwise_loss = mean(kPointwiseLoss),
          .listwise_loss = mean(kListwiseLoss),
          .gradient_norm = mean(kNorm),
          .pointwise_accuracy = ratio(sum[kPointwiseRight], sum[kPointwiseAll]),
          .listwise_accuracy = ratio(sum[kListwiseRight], sum[kListwiseAll]),
          .skipped_queries = sum[kSkippedQueries],
          .tokens = mean(kTokens),
          .images = mean(kImages),
          .data_wait_s = mean(kDataWait)};
}

std::vector<StepHealth> RerankTotals::read_steps() {
  std::vector<StepHealth> steps;
  const std::vector<int64_t> numbers = std::exchange(unread_steps_, {});
  for (const std::vector<double>& values : sums_.read_steps()) {
    steps.push_back({.step = numbers[steps.size()], .loss = values[kLoss], .gradient_norm = values[kNorm]});
  }
  return steps;
}

}  // namespace trireme
