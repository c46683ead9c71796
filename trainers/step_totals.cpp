#include "trainers/step_totals.h"

#include <algorithm>
#include <utility>

#include <ATen/TensorOperators.h>

namespace trireme {
namespace {

/// In the order in which add() has them.
enum Value : std::size_t {
  kLoss,
  kNorm,
  kAccuracy,
  kPositiveCosine,
  kNegativeCosine,
  kCandidateCosine,
  kExcluded,
  kSkippedPairs,
  kTokens,
  kImages,
  kDataWait
};
std::vector<std::string> value_names() {
  return {"loss",     "gradient_norm", "accuracy", "positive_cosine", "negative_cosine", "candidate_cosine",
          "excluded", "skipped_pairs", "tokens",   "images",          "data_wait_s"};
}

}  // namespace

StepTotals::StepTotals(Communicator& communicator, c10::Device device)
    : ranks_(static_cast<double>(communicator.size())), sums_(communicator, device, value_names()) {}

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
  unread_steps_.push_back(batch.step);
}

StepTotals::Means StepTotals::take() {
  const auto steps = static_cast<double>(std::max<int64_t>(sums_.steps(), 1));
  const std::vector<double> sum = sums_.take();
  const auto mean = [&](Value value) { return sum[value] / steps; };
  return {.loss = mean(kLoss),
          .gradient_norm = mean(kNorm),
          .accuracy = mean(kAccuracy),
          .positive_cosine = mean(kPositiveCosine),
          .negative_cosine = mean(kNegativeCosine),
          .candidate_cosine = mean(kCandidateCosine),
          .excluded = mean(kExcluded),
          .skipped_pairs = sum[kSkippedPairs],
          .tokens = mean(kTokens),
          .images = mean(kImages),
          .data_wait_s = mean(kDataWait)};
}

std::vector<StepHealth> StepTotals::read_steps() {
  std::vector<StepHealth> steps;
  const std::vector<int64_t> numbers = std::exchange(unread_steps_, {});
  for (const std::vector<double>& values : sums_.read_steps()) {
    steps.push_back({numbers[steps.size()], values[kLoss], values[kNorm], values[kCandidateCosine]});
  }
  return steps;
}

}  // namespace trireme
