#include "trainers/step_totals.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace trireme {
namespace {

constexpr int64_t kValues = 11;

}  // namespace

StepTotals::StepTotals(Communicator& communicator, c10::Device device)
    : communicator_(communicator), sums_(torch::zeros({kValues}, torch::dtype(torch::kFloat64).device(device))) {}

void StepTotals::add(const InfoNceResult& result, const GradientNorm& norm, const PairBatch& batch) {
  const PairBatchCounts counts = counts_of(batch);
  const auto ranks = static_cast<double>(communicator_.size());
  const InfoNceMetrics& metrics = result.metrics;
  std::vector<torch::Tensor> measured;
  // The norm is every rank's alike: each brings its share of it.
  for (const torch::Tensor& value : {result.loss, norm.norm / ranks, metrics.accuracy, metrics.positive_cosine,
                                     metrics.negative_cosine, metrics.candidate_cosine, metrics.excluded}) {
    measured.push_back(value.to(sums_.options()));
  }
  for (const double value : {static_cast<double>(batch.skipped.size()), static_cast<double>(counts.tokens),
                             static_cast<double>(counts.images), batch.waited_s / ranks}) {
    measured.push_back(torch::tensor(value, sums_.options()));
  }
  torch::Tensor values = torch::stack(measured);
  communicator_.all_reduce(values, ReduceOp::kSum).wait();
  sums_ += values;
  ++steps_;
}

StepTotals::Means StepTotals::take() {
  const torch::Tensor sums = sums_.cpu();
  const auto* sum = sums.const_data_ptr<double>();
  const auto steps = static_cast<double>(std::max<int64_t>(steps_, 1));
  const auto mean = [&](int64_t i) { return sum[i] / steps; };
  const Means means = {mean(0), mean(1), mean(2), mean(3), mean(4), mean(5),
                       mean(6), sum[7],  mean(8), mean(9), mean(10)};
  sums_.zero_();
  steps_ = 0;
  return means;
}

std::map<std::string, double> StepTotals::state() const {
  std::map<std::string, double> out = {{"totals.steps", static_cast<double>(steps_)}};
  const torch::Tensor sums = sums_.cpu();
  for (int64_t i = 0; i < kValues; ++i) out[fmt::format("totals.{}", i)] = sums.const_data_ptr<double>()[i];
  return out;
}

void StepTotals::restore(const std::map<std::string, double>& counters) {
  const auto steps = counters.find("totals.steps");
  if (steps == counters.end()) return;
  steps_ = static_cast<int64_t>(steps->second);
  for (int64_t i = 0; i < kValues; ++i) sums_[i] = counters.at(fmt::format("totals.{}", i));
}

}  // namespace trireme
